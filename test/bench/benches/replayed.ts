import { Redis } from "ioredis";
import { type DatabasePool, sql } from "slonik";
import { createBroker } from "tasktrail";
import { LEDGER } from "../../../projections/lane-deps.ts";
import type { AnyProjection, AnyRow } from "../../../projections/projection.ts";
import { replay } from "../../../projections/replay.ts";
import { taskRuns } from "../../../projections/task-runs.ts";
import { migrate } from "../../../sql/migrate.ts";
import { openPool, transactionOnce } from "../../../sql/pool.ts";
import { type ArchivedEntry, insertEntries } from "../../../sql/queries/archive.ts";
import { createCheckpoint, findCheckpoint, moveCheckpoint } from "../../../sql/queries/checkpoints.ts";
import { taskRunsTable } from "../../../sql/queries/task-runs.ts";
import { statement } from "../../../sql/statement.ts";
import { upsertRows } from "../../../sql/table.ts";
import { createProjector } from "../../../src/projector.ts";
import { laneKeys } from "../../../streams/keys.ts";
import type { Bench, Figures, StepDesk } from "../bench.ts";
import { NAMESPACE, quiet } from "../contenders/tasktrail.ts";
import { EVENTS_PER_RUN, makeLedger } from "../ledger.ts";

const OURS = "Tasktrail";
const BARE = "a bare insert";
const LANE = `${NAMESPACE}:default`;

/** How fast a table and the archive are kept, against the same machine's ceiling: the same rows and entries, inserted in bulk by the same statements, each row once. */
export const project: Bench = {
  name: "project",
  what: "events projected live: archived and folded into task_runs, against a bare insert of the same entries and rows",
  contenders: [OURS, BARE],
  against: BARE,
  needs: "postgres",
  figures: [{ name: "projected", unit: "events/s", better: "higher" }],
  steps: { projectLive, insertBare },
  play: ({ contender }, start) => start(contender === OURS ? "projectLive" : "insertBare").figures,
};

/** How fast a table is folded again from its archive, against a bare insert of its rows; and what that takes of memory. */
export const replayed: Bench = {
  name: "replay",
  what: "a million events folded again: compared with an intact table, and into an emptied one, against a bare insert of its rows",
  contenders: [OURS, BARE],
  against: BARE,
  needs: "postgres",
  figures: [
    { name: "rebuilt", unit: "events/s", better: "higher" },
    { name: "verified", unit: "events/s", better: "higher" },
    { name: "memory after a fifth", unit: "MB", better: "lower" },
    { name: "memory at most", unit: "MB", better: "lower" },
  ],
  steps: { fold, insertRows },
  play: ({ contender }, start) => start(contender === OURS ? "fold" : "insertRows").figures,
};

async function openMigrated(database: string): Promise<DatabasePool> {
  const pool = await openPool(database, { size: 5, statementTimeoutMs: 0, idleInTransactionTimeoutMs: 0 });
  await migrate(pool);
  return pool;
}

function runsOf(full: number, scale: number): number {
  return Math.ceil((full * scale) / EVENTS_PER_RUN);
}

const LIVE_EVENTS = 300_000;
const REPLAYED_EVENTS = 1_000_000;

/** Records a ledger, and has a projector take it in. */
async function projectLive({ setting }: StepDesk): Promise<Figures> {
  const { database = "" } = setting;
  const redis = new Redis(setting.redis, { protocol: 2 });
  const keys = laneKeys(NAMESPACE, "default");
  const runs = runsOf(LIVE_EVENTS, setting.scale);
  for (const { header, count, events } of makeLedger(runs))
    await redis.xadd(keys.events, "*", "h", header, "n", count, "events", events);
  const end = (await redis.xrevrange(keys.events, "+", "-", "COUNT", 1))[0]?.[0];
  const pool = await openMigrated(database);
  const broker = createBroker({ redis: setting.redis, database, namespace: NAMESPACE, logger: quiet });
  broker.task({ name: "noop", run() {} });
  const projector = createProjector(broker);
  const startedAt = performance.now();
  const running = projector.run();
  for (;;) {
    const at = await findCheckpoint(pool, LANE, LEDGER);
    if (at !== undefined && `${at.ms}-${at.seq}` === end) break;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  const seconds = (performance.now() - startedAt) / 1_000;
  await projector.stop();
  await running;
  await Promise.all([pool.end(), broker.close(), redis.quit()]);
  return { projected: (runs * EVENTS_PER_RUN) / seconds };
}

/** Puts a ledger into the archive, as the projector would have. */
async function archive(pool: DatabasePool, runs: number): Promise<ArchivedEntry[]> {
  await createCheckpoint(pool, { lane: LANE, projection: LEDGER, incarnation: "bench" });
  const entries: ArchivedEntry[] = [];
  const startedAt = Date.now();
  for (const { header, count, events } of makeLedger(runs))
    entries.push({
      lane: LANE,
      incarnation: "bench",
      ms: startedAt,
      seq: entries.length + 1,
      eventCount: count,
      header,
      events,
      raw: null,
    });
  for (let at = 0; at < entries.length; at += 500) await insertEntries(pool, entries.slice(at, at + 500));
  const from = await findCheckpoint(pool, LANE, LEDGER);
  if (from === undefined) throw new Error("there is no checkpoint");
  const to = {
    ms: startedAt,
    seq: entries.length,
    token: "bench",
    entries: entries.length,
    events: runs * EVENTS_PER_RUN,
    unknown: 0,
  };
  await transactionOnce(pool, (session) => moveCheckpoint(session, from, to));
  return entries;
}

function replayTaskRuns(pool: DatabasePool, mode: "apply" | "count", onProgress = (_events: number) => {}) {
  const projection = taskRuns as unknown as AnyProjection;
  return replay(
    { pool, namespace: NAMESPACE, projection, checkpoint: LEDGER, parked: new Set() },
    { mode, onProgress: ({ events }) => onProgress(events) },
  );
}

async function fold({ setting }: StepDesk): Promise<Figures> {
  const pool = await openMigrated(setting.database ?? "");
  const runs = runsOf(REPLAYED_EVENTS, setting.scale);
  const events = runs * EVENTS_PER_RUN;
  await archive(pool, runs);
  globalThis.gc?.();
  let [early, most] = [0, 0];
  const rebuilt = await timed(async () => {
    const { insert } = await replayTaskRuns(pool, "apply", (done) => {
      most = Math.max(most, process.memoryUsage.rss());
      if (done < events / 5) early = most;
    });
    if (insert !== runs) throw new Error(`${insert} rows, and not ${runs}`);
  });
  await pool.query(sql.unsafe`vacuum analyze task_runs`);
  const verified = await timed(async () => {
    const { update } = await replayTaskRuns(pool, "count");
    if (update !== 0) throw new Error(`${update} rows differ`);
  });
  await pool.end();
  const megabytes = (bytes: number) => Math.round(bytes / 1_048_576);
  return {
    rebuilt: events / rebuilt,
    verified: events / verified,
    "memory after a fifth": megabytes(early),
    "memory at most": megabytes(most),
  };
}

async function timed(work: () => Promise<void>): Promise<number> {
  const startedAt = performance.now();
  await work();
  return (performance.now() - startedAt) / 1_000;
}

/** The rows that a ledger folds to, and its entries. */
async function rowsAndEntries(pool: DatabasePool, runs: number): Promise<{ rows: AnyRow[]; entries: ArchivedEntry[] }> {
  const entries = await archive(pool, runs);
  await replayTaskRuns(pool, "apply");
  const rows = (await pool.any(
    statement(`select ${taskRunsTable.selection} from task_runs order by id`, []),
  )) as AnyRow[];
  await pool.query(sql.unsafe`truncate task_runs, ledger_entries`);
  await pool.query(sql.unsafe`checkpoint`);
  return { rows: [...rows], entries };
}

/** Entries and rows, a batch of both in a transaction, as the projector's are. */
async function insertBare({ setting }: StepDesk): Promise<Figures> {
  const pool = await openMigrated(setting.database ?? "");
  const runs = runsOf(LIVE_EVENTS, setting.scale);
  const { rows, entries } = await rowsAndEntries(pool, runs);
  const batches = Math.max(1, Math.ceil(entries.length / 60)); // about two megabytes of ledger each, as the projector takes
  const part = <T>(all: readonly T[], n: number) =>
    all.slice(Math.floor((all.length * n) / batches), Math.floor((all.length * (n + 1)) / batches));
  const seconds = await timed(async () => {
    for (let n = 0; n < batches; n += 1)
      await transactionOnce(pool, async (session) => {
        await insertEntries(session, part(entries, n));
        await upsertRows(
          session,
          { table: taskRunsTable as unknown as AnyProjection["table"], namespace: NAMESPACE },
          part(rows, n),
        );
      });
  });
  await pool.end();
  return { projected: (runs * EVENTS_PER_RUN) / seconds };
}

/** The rows alone, two thousand to a statement, as a replay writes them. */
async function insertRows({ setting }: StepDesk): Promise<Figures> {
  const pool = await openMigrated(setting.database ?? "");
  const runs = runsOf(REPLAYED_EVENTS, setting.scale);
  const { rows } = await rowsAndEntries(pool, runs);
  const seconds = await timed(() =>
    transactionOnce(pool, async (session) => {
      for (let at = 0; at < rows.length; at += 2_000)
        await upsertRows(
          session,
          { table: taskRunsTable as unknown as AnyProjection["table"], namespace: NAMESPACE },
          rows.slice(at, at + 2_000),
        );
    }),
  );
  await pool.end();
  const rate = (runs * EVENTS_PER_RUN) / seconds;
  return { rebuilt: rate, verified: rate };
}
