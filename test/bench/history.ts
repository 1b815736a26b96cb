import type { DatabasePool } from "slonik";
import { foldShare, shareOf } from "../../projections/batch.ts";
import { cronJobRuns } from "../../projections/cron-job-runs.ts";
import { LEDGER } from "../../projections/lane-deps.ts";
import type { AnyProjection, AnyRow } from "../../projections/projection.ts";
import { taskRuns } from "../../projections/task-runs.ts";
import { migrate } from "../../sql/migrate.ts";
import { openPool, transactionOnce } from "../../sql/pool.ts";
import { type ArchivedEntry, insertEntries } from "../../sql/queries/archive.ts";
import { createCheckpoint, findCheckpoint, moveCheckpoint } from "../../sql/queries/checkpoints.ts";
import { decodeEntry, isLedgerEvent } from "../../streams/ledger.ts";
import { EVENTS_PER_RUN, type LedgerKind, makeLedger } from "./ledger.ts";

/** How much of a ledger there is, and of what. */
export interface HistorySize {
  readonly kind: LedgerKind;
  readonly runs: number;
}

/** The projection that is measured with a ledger of a kind. */
export const projectionOf = {
  runs: taskRuns as unknown as AnyProjection,
  slots: cronJobRuns as unknown as AnyProjection,
} as const satisfies Record<LedgerKind, AnyProjection>;

/** The namespace of a kind's ledger: a bench may have both in one database. */
export const namespaceOf = { runs: "bench", slots: "bench-slots" } as const satisfies Record<LedgerKind, string>;

/** So many runs that they come to about so many events. */
export function sizeOf(kind: LedgerKind, events: number): HistorySize {
  return { kind, runs: Math.ceil(events / EVENTS_PER_RUN[kind]) };
}

/** A pool on a database with the schema in it. */
export async function openMigrated(database: string): Promise<DatabasePool> {
  const pool = await openPool(database, { size: 5, statementTimeoutMs: 0, idleInTransactionTimeoutMs: 0 });
  await migrate(pool);
  return pool;
}

/** A made ledger as the archive keeps it. */
export function* archivedEntries({ kind, runs }: HistorySize): Generator<ArchivedEntry> {
  const lane = `${namespaceOf[kind]}:default`;
  const ms = Date.now();
  let seq = 0;
  for (const { header, count, events } of makeLedger(runs, kind)) {
    seq += 1;
    yield { lane, incarnation: "bench", ms, seq, eventCount: count, header, events, raw: null };
  }
}

/** Puts a ledger into the archive, as the projector would have; the tables stay empty. */
export async function archive(pool: DatabasePool, size: HistorySize): Promise<void> {
  const lane = `${namespaceOf[size.kind]}:default`;
  await createCheckpoint(pool, { lane, projection: LEDGER, incarnation: "bench" });
  let part: ArchivedEntry[] = [];
  let entries = 0;
  let last: ArchivedEntry | undefined;
  const write = async () => {
    await insertEntries(pool, part);
    part = [];
  };
  for (const entry of archivedEntries(size)) {
    part.push(entry);
    last = entry;
    entries += 1;
    if (part.length === 500) await write();
  }
  await write();
  const from = await findCheckpoint(pool, lane, LEDGER);
  if (from === undefined || last === undefined) throw new Error("there is no ledger");
  const events = size.runs * EVENTS_PER_RUN[size.kind];
  const to = { ms: last.ms, seq: last.seq, token: "bench", entries, events, unknown: 0 };
  await transactionOnce(pool, (session) => moveCheckpoint(session, from, to));
}

/** The rows that a ledger folds to, without a database. */
export function foldedRows(size: HistorySize): AnyRow[] {
  const projection = projectionOf[size.kind];
  const rows = new Map<string, AnyRow>();
  for (const { ms, seq, header, events, eventCount } of archivedEntries(size)) {
    const entry = { id: `${ms}-${seq}`, header, events, count: eventCount };
    const decoded = decodeEntry(entry, { queue: "default", incarnation: "bench" }).filter(isLedgerEvent);
    const folded = foldShare(shareOf(projection, decoded, new Set()), rows);
    for (const [key, { row }] of folded.rows) rows.set(key, row);
  }
  return [...rows.values()];
}

/** How long something takes, in seconds. */
export async function timed(work: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await work();
  return (performance.now() - startedAt) / 1_000;
}
