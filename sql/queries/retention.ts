import { type DatabasePool, sql } from "slonik";
import { z } from "zod";
import { transactionOnce } from "../pool.ts";
import { changed, rowsOf, type Session, statement } from "../statement.ts";
import type { EntryPosition } from "./archive.ts";
import { PARTITION_LOCK, PARTITION_MS } from "./partitions.ts";

/** What a namespace keeps of its archive. */
export interface Keeps {
  /** In ms; undefined: whatever its age. */
  readonly keepMs?: number | undefined;
  /** Of the whole archive, in bytes; undefined: any. */
  readonly keepBytes?: number | undefined;
}

/** Says how long, and within what size, a namespace keeps its archive; neither: for ever. */
export async function setRetention(session: Session, namespace: string, { keepMs, keepBytes }: Keeps): Promise<void> {
  if (keepMs === undefined && keepBytes === undefined) {
    await session.query(sql.unsafe`delete from ledger_retention where namespace = ${namespace}`);
    return;
  }
  await session.query(sql.unsafe`
    insert into ledger_retention (namespace, keep_ms, keep_bytes) values (${namespace}, ${keepMs ?? null}, ${keepBytes ?? null})
    on conflict (namespace) do update set keep_ms = excluded.keep_ms, keep_bytes = excluded.keep_bytes, updated_at = now()
    where (ledger_retention.keep_ms, ledger_retention.keep_bytes) is distinct from (excluded.keep_ms, excluded.keep_bytes)`);
}

const keeps = z.object({
  namespace: z.string(),
  keepMs: z.number().nullable(),
  keepBytes: z.number().nullable(),
});

/** What each namespace keeps. Those that keep all of it for ever are not there. */
export async function findRetention(session: Session): Promise<ReadonlyMap<string, Keeps>> {
  const rows = await rowsOf(
    session,
    keeps,
    sql.unsafe`
      select namespace, keep_ms::double precision as "keepMs", keep_bytes::double precision as "keepBytes" from ledger_retention`,
  );
  return new Map(
    rows.map(({ namespace, keepMs, keepBytes }) => [
      namespace,
      { keepMs: keepMs ?? undefined, keepBytes: keepBytes ?? undefined },
    ]),
  );
}

/** A partition of the archive: one day, from `fromMs` on. */
export interface Partition {
  readonly name: string;
  readonly fromMs: number;
  readonly untilMs: number;
  /** With its indexes. */
  readonly bytes: number;
}

/** The name of the partition for days that have none of their own. */
export const DEFAULT_PARTITION = "ledger_entries_default";

/** The archive's partitions, oldest first; not the one for days without. */
export async function listPartitions(session: Session): Promise<Partition[]> {
  const rows = await rowsOf(
    session,
    z.object({ name: z.string(), bytes: z.number() }),
    sql.unsafe`
      select c.relname::text as name, pg_total_relation_size(c.oid)::double precision as bytes from pg_inherits i join pg_class c on c.oid = i.inhrelid
      where i.inhparent = to_regclass('ledger_entries') order by 1`,
  );
  return rows.flatMap(({ name, bytes }) => {
    const day = /^ledger_entries_(\d{4})(\d\d)(\d\d)$/.exec(name);
    if (day === null) return [];
    const fromMs = Date.UTC(Number(day[1]), Number(day[2]) - 1, Number(day[3]));
    return [{ name, fromMs, untilMs: fromMs + PARTITION_MS, bytes }];
  });
}

/** The lanes that have entries in a partition: by leaps over its primary key, whatever its size. */
export async function findLanesIn(session: Session, partition: string): Promise<string[]> {
  const rows = await rowsOf(
    session,
    z.object({ lane: z.string() }),
    statement(
      `with recursive lanes as (
         (select lane from ${partition} order by lane limit 1)
         union all
         select (select next.lane from ${partition} next where next.lane > lanes.lane order by next.lane limit 1)
         from lanes where lanes.lane is not null
       ) select lane from lanes where lane is not null`,
      [],
    ),
  );
  return rows.map(({ lane }) => lane);
}

const entryPosition = z.object({ lane: z.string(), incarnation: z.string(), ms: z.number(), seq: z.number() });

/** The entries at which checkpoints stand, as far as they are older than an instant: by them a lane knows its history again. */
export function findCheckpointEntries(session: Session, untilMs: number): Promise<EntryPosition[]> {
  return rowsOf(
    session,
    entryPosition,
    sql.unsafe`
      select lane, incarnation, ms::double precision as ms, seq::double precision as seq
      from projection_checkpoints where ms < ${untilMs} and ms > 0`,
  );
}

/** Parts of a drop. */
export interface Drop {
  readonly partition: Partition;
  readonly lanes: readonly string[];
  /** Entries of the partition that stay. */
  readonly kept: readonly EntryPosition[];
}

/**
 * Drops a day of the archive, in one transaction with the note of from where on its lanes are whole. Entries that stay go to the partition for
 * days without one. Waits at most two seconds for a lock and throws after that: there is another time. False: somebody else has dropped it.
 */
export function dropPartition(pool: DatabasePool, { partition, lanes, kept }: Drop): Promise<boolean> {
  const { name, untilMs } = partition;
  return transactionOnce(pool, async (session) => {
    await session.query(sql.unsafe`select set_config('lock_timeout', '2000', true)`);
    await session.query(sql.unsafe`select pg_advisory_xact_lock(${PARTITION_LOCK})`);
    const found = await session.any(sql.unsafe`select to_regclass(${name}) is not null as exists`);
    if (!(found[0] as { exists: boolean }).exists) return false;
    await moveHorizons(session, lanes, untilMs);
    await session.query(statement(`alter table ledger_entries detach partition ${name}`, []));
    await session.query(
      statement(`insert into ledger_entries select old.* from ${name} old join ${WANTED}`, arraysOf(kept)),
    );
    await session.query(statement(`drop table ${name}`, []));
    return true;
  });
}

/** Deletes what is older than an instant from the partition for days without one, but for some entries. Gives how many went. */
export function deleteStrays(
  pool: DatabasePool,
  {
    lanes,
    untilMs,
    kept,
  }: { readonly lanes: readonly string[]; readonly untilMs: number; readonly kept: readonly EntryPosition[] },
): Promise<number> {
  return transactionOnce(pool, async (session) => {
    const gone = await changed(
      session,
      statement(
        `delete from ${DEFAULT_PARTITION} old where old.ms < $5 and old.lane = any($6::text[]) and not exists (
           select from unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[]) as wanted (lane, incarnation, ms, seq)
           where (wanted.lane, wanted.incarnation, wanted.ms, wanted.seq) = (old.lane, old.incarnation, old.ms, old.seq))`,
        [...arraysOf(kept), untilMs, lanes],
      ),
    );
    if (gone > 0) await moveHorizons(session, lanes, untilMs);
    return gone;
  });
}

const WANTED = `unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[]) as wanted (lane, incarnation, ms, seq) using (lane, incarnation, ms, seq)`;

function arraysOf(positions: readonly EntryPosition[]): unknown[] {
  return (["lane", "incarnation", "ms", "seq"] as const).map((name) => positions.map((position) => position[name]));
}

async function moveHorizons(session: Session, lanes: readonly string[], untilMs: number): Promise<void> {
  await session.query(
    statement(
      `insert into ledger_horizons (lane, kept_from_ms) select lane, $2 from unnest($1::text[]) as given (lane)
       on conflict (lane) do update set kept_from_ms = excluded.kept_from_ms, dropped_at = now()
       where ledger_horizons.kept_from_ms < excluded.kept_from_ms`,
      [lanes, untilMs],
    ),
  );
}
