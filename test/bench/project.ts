// `node test/bench/project.ts [--runs 60000] [--rounds 3]`: how fast the projector takes in what a real worker has recorded, against the same
// machine's ceiling: the same rows, inserted in bulk by the same statements, with nothing read and nothing folded, each row once.
import { parseArgs } from "node:util";
import { sql } from "slonik";
import { createProjection } from "../../projections/project.ts";
import { migrate } from "../../sql/migrate.ts";
import { openPool, transactionOnce } from "../../sql/pool.ts";
import { type ArchivedEntry, insertEntries } from "../../sql/queries/archive.ts";
import { ensurePartitions, PARTITION_MS } from "../../sql/queries/partitions.ts";
import { type TaskRun, taskRunsTable } from "../../sql/queries/task-runs.ts";
import { statement } from "../../sql/statement.ts";
import { upsertRows } from "../../sql/table.ts";
import { createBroker } from "../../src/broker.ts";
import { startPostgres } from "../../src/dev/start-postgres.ts";
import { startRedis } from "../../src/dev/start-redis.ts";
import { createWorker } from "../../src/worker.ts";
import { openRedis, ready } from "../../streams/connect.ts";
import { laneKeys } from "../../streams/keys.ts";

const { values } = parseArgs({
  options: { runs: { type: "string", default: "60000" }, rounds: { type: "string", default: "3" } },
});
const runCount = Number(values.runs);
const NAMESPACE = "bench";
const quiet = { debug() {}, info() {}, warn: console.warn, error: console.error, child: () => quiet };

await using redis = await startRedis();
await using postgres = await startPostgres();
const eventCount = await record();
for (let round = 1; round <= Number(values.rounds); round += 1) {
  const live = await project(await freshDatabase(`live${round}`));
  const bare = await insert(`live${round}`, await freshDatabase(`bare${round}`), live.batchCount);
  const rate = (ms: number) => `${Math.round(eventCount / ms)}k events/s, ${Math.round(runCount / ms)}k runs/s`;
  console.log(
    `projected ${rate(live.tookMs)} in ${live.batchCount} batches and ${live.rowCount} row writes (Node busy for ${Math.round((live.cpuMs / live.tookMs) * 100)}%)`,
  );
  console.log(`bare      ${rate(bare)}: projecting reaches ${Math.round((bare / live.tookMs) * 100)}% of it`);
}

function databaseUrl(name: string): string {
  const url = new URL(postgres.url);
  url.pathname = `/${name}`;
  return url.href;
}

async function freshDatabase(name: string): Promise<string> {
  const admin = await openPool(postgres.url);
  await admin.query(statement(`create database ${name}`, []));
  await admin.query(sql.unsafe`checkpoint`);
  await admin.end();
  return databaseUrl(name);
}

/** Has a worker do the runs, and gives how many events that made. */
async function record(): Promise<number> {
  const broker = createBroker({ redis: redis.url, namespace: NAMESPACE, logger: quiet });
  let done = 0;
  const { promise: all, resolve } = Promise.withResolvers<void>();
  const noop = broker.task({
    name: "noop",
    run() {
      done += 1;
      if (done === runCount) resolve();
    },
  });
  const worker = createWorker(broker, { concurrency: 100 });
  worker.run().catch(console.error);
  for (let sent = 0; sent < runCount; sent += 5_000) {
    await noop.kiqMany(Array.from({ length: Math.min(5_000, runCount - sent) }));
  }
  await all;
  await worker.stop();
  await broker.close();
  const client = await openRedis(redis.url, "tool");
  await ready(client, 5_000);
  const entries = await client.xrange(laneKeys(NAMESPACE, "default").events, "-", "+");
  client.disconnect();
  const events = entries.reduce((sum, [, fields]) => sum + Number(fields[fields.indexOf("n") + 1]), 0);
  console.log(`${runCount} runs made ${events} events in ${entries.length} ledger entries`);
  return events;
}

async function project(
  database: string,
): Promise<{ tookMs: number; batchCount: number; rowCount: number; cpuMs: number }> {
  const stopping = new AbortController();
  let projected = 0;
  let batchCount = 0;
  let rowCount = 0;
  let startedAt = 0;
  let tookMs = 0;
  let cpu = process.cpuUsage();
  const projector = createProjection({
    namespace: NAMESPACE,
    database,
    connect: (purpose) => openRedis(redis.url, purpose),
    queues: () => [],
    announce(notice) {
      if (notice.kind === "problem") console.error(notice);
      else if (notice.kind === "batch.projected") {
        if (batchCount === 0) {
          startedAt = performance.now() - notice.tookMs;
          cpu = process.cpuUsage();
        }
        batchCount += 1;
        projected += notice.events;
        rowCount += notice.rows;
        tookMs = performance.now() - startedAt;
        if (projected >= eventCount) stopping.abort();
      }
    },
  });
  await projector.run(stopping.signal);
  const { user, system } = process.cpuUsage(cpu);
  return { tookMs, batchCount, rowCount, cpuMs: (user + system) / 1_000 };
}

/** Inserts what the projector has made into an empty database, in as many transactions. */
async function insert(from: string, database: string, batchCount: number): Promise<number> {
  const source = await openPool(databaseUrl(from));
  const entries = (await source.any(sql.unsafe`
    select lane, incarnation, ms::float8 as ms, seq::float8 as seq, event_count as "eventCount", header, events, raw
    from ledger_entries order by ledger_entries.ms, ledger_entries.seq`)) as ArchivedEntry[];
  const rows = (await source.any(
    statement(`select ${taskRunsTable.selection} from task_runs order by id`, []),
  )) as TaskRun[];
  await source.end();
  const pool = await openPool(database);
  await migrate(pool);
  await ensurePartitions(pool, [Math.floor(Date.now() / PARTITION_MS)]);
  const part = <T>(all: readonly T[], n: number) =>
    all.slice(Math.floor((all.length * n) / batchCount), Math.floor((all.length * (n + 1)) / batchCount));
  const startedAt = performance.now();
  for (let n = 0; n < batchCount; n += 1) {
    await transactionOnce(pool, async (session) => {
      await insertEntries(session, part(entries, n));
      await upsertRows(session, { table: taskRunsTable, namespace: NAMESPACE }, part(rows, n));
    });
  }
  const tookMs = performance.now() - startedAt;
  await pool.end();
  return tookMs;
}
