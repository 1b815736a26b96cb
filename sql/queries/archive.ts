import { z } from "zod";
import { rowOf, rowsOf, type Session, statement } from "../statement.ts";

/** A ledger entry as the archive keeps it. */
export interface ArchivedEntry {
  /** `namespace:queue`. */
  readonly lane: string;
  readonly incarnation: string;
  readonly ms: number;
  readonly seq: number;
  readonly eventCount: number;
  readonly header: string;
  readonly events: string;
  /** The whole entry as JSON, when it could not be kept as it is. */
  readonly raw: string | null;
}

/** Where an entry stands. */
export type EntryPosition = Pick<ArchivedEntry, "lane" | "incarnation" | "ms" | "seq">;

const archivedEntry = z.object({
  lane: z.string(),
  incarnation: z.string(),
  ms: z.number(),
  seq: z.number(),
  eventCount: z.number(),
  header: z.string(),
  events: z.string(),
  raw: z.string().nullable(),
});

const COLUMNS = `lane, incarnation, ms::double precision as ms, seq::double precision as seq, event_count as "eventCount", header, events, raw`;

const insertEntriesText = `
  insert into ledger_entries (lane, incarnation, ms, seq, event_count, header, events, raw)
  select $1, $2, * from unnest($3::bigint[], $4::bigint[], $5::integer[], $6::text[], $7::text[], $8::text[])`;

/** Archives entries of one lane. One that is there already is an error: the checkpoint keeps them from coming twice. */
export async function insertEntries(session: Session, entries: readonly ArchivedEntry[]): Promise<void> {
  const [first] = entries;
  if (first === undefined) return;
  const column = <K extends keyof ArchivedEntry>(name: K) => entries.map((entry) => entry[name]);
  await session.query(
    statement(insertEntriesText, [
      first.lane,
      first.incarnation,
      column("ms"),
      column("seq"),
      column("eventCount"),
      column("header"),
      column("events"),
      column("raw"),
    ]),
  );
}

const findEntriesText = `
  select ${COLUMNS} from ledger_entries
  join unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[]) as wanted (lane, incarnation, ms, seq)
    using (lane, incarnation, ms, seq)
  order by ledger_entries.ms, ledger_entries.seq`;

/** The entries at some positions, by primary key. Those that the archive no longer has are left out. */
export async function findEntries(session: Session, positions: readonly EntryPosition[]): Promise<ArchivedEntry[]> {
  if (positions.length === 0) return [];
  const column = <K extends keyof EntryPosition>(name: K) => positions.map((position) => position[name]);
  return rowsOf(
    session,
    archivedEntry,
    statement(findEntriesText, [column("lane"), column("incarnation"), column("ms"), column("seq")]),
  );
}

/** A stretch of one life of a lane. */
export interface ArchiveRange {
  readonly lane: string;
  readonly incarnation: string;
  /** Not included. Before everything: -1, 0. */
  readonly afterMs: number;
  readonly afterSeq: number;
  /** Included. Default: no end. */
  readonly untilMs?: number | undefined;
  readonly limit: number;
}

/** Entries in order, after a position. */
export function findEntriesAfter(session: Session, range: ArchiveRange): Promise<ArchivedEntry[]> {
  return rowsOf(
    session,
    archivedEntry,
    statement(
      `select ${COLUMNS} from ledger_entries
       where lane = $1 and incarnation = $2 and (ms, seq) > ($3::bigint, $4::bigint) and ms >= $3::bigint and ms <= $5::bigint
       order by ledger_entries.ms, ledger_entries.seq limit $6`,
      [
        range.lane,
        range.incarnation,
        range.afterMs,
        range.afterSeq,
        range.untilMs ?? Number.MAX_SAFE_INTEGER,
        range.limit,
      ],
    ),
  );
}

/** Where a life of a lane ends in the archive; undefined when nothing of it is there. */
export function findLastEntry(session: Session, lane: string, incarnation: string): Promise<EntryPosition | undefined> {
  return rowOf(
    session,
    archivedEntry.pick({ lane: true, incarnation: true, ms: true, seq: true }),
    statement(
      `select lane, incarnation, ms::double precision as ms, seq::double precision as seq from ledger_entries
       where lane = $1 and incarnation = $2 order by ledger_entries.ms desc, ledger_entries.seq desc limit 1`,
      [lane, incarnation],
    ),
  );
}
