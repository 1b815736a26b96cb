import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { sql } from "slonik";
import { migrate } from "../../sql/migrate.ts";
import { openPool } from "../../sql/pool.ts";
import { type ArchivedEntry, findEntries, findEntriesAfter, insertEntries } from "../../sql/queries/archive.ts";
import { createCheckpoint, findCheckpoint, listCheckpoints, moveCheckpoint } from "../../sql/queries/checkpoints.ts";
import {
  type CronJobRun,
  countCronByStatus,
  cronJobRunsTable,
  findOverrunning,
  lastPerSchedule,
  listCronRuns,
} from "../../sql/queries/cron-job-runs.ts";
import { ensurePartitions, PARTITION_MS, partitionName } from "../../sql/queries/partitions.ts";
import { countByStatus, findRun, listRuns, type TaskRun, taskRunsTable } from "../../sql/queries/task-runs.ts";
import { upsertRows } from "../../sql/table.ts";
import { testDatabase } from "../support/servers.ts";

async function aPool(t: TestContext) {
  const pool = await openPool(await testDatabase());
  t.after(() => pool.end());
  await migrate(pool);
  return pool;
}

const AT = 1_700_000_000_000;
const idOf = (n: number) => `01890000-0000-7abc-8000-${String(n).padStart(12, "0")}`;

function aRun(n: number, given: Partial<TaskRun> = {}): TaskRun {
  const nothing = Object.fromEntries(Object.keys(taskRunsTable.columns).map((property) => [property, null]));
  const counts = { attempts: 0, redeliveries: 0, deferrals: 0, positions: "" };
  return {
    ...nothing,
    ...counts,
    id: idOf(n),
    queue: "default",
    taskName: "a",
    status: "succeeded",
    enqueuedAt: AT + n,
    ...given,
  } as TaskRun;
}

function aCronRun(n: number, given: Partial<CronJobRun> = {}): CronJobRun {
  const nothing = Object.fromEntries(Object.keys(cronJobRunsTable.columns).map((property) => [property, null]));
  const row = {
    id: `run-${n}`,
    queue: "default",
    schedule: "s",
    taskName: "s",
    status: "success",
    attempts: 1,
    redeliveries: 0,
    scheduledFor: AT + n,
  };
  return { ...nothing, ...row, ...given } as CronJobRun;
}

test("runs are listed latest first, narrowed, and page by page", async (t) => {
  const pool = await aPool(t);
  const rows = [
    aRun(1),
    aRun(2, { taskName: "b" }),
    aRun(3, { status: "died", reason: "attempts" }),
    aRun(4, { queue: "mail" }),
    aRun(5, { enqueuedAt: null }),
  ];
  await upsertRows(pool, { table: taskRunsTable, namespace: "ns" }, rows);
  await upsertRows(pool, { table: taskRunsTable, namespace: "other" }, [aRun(9)]);
  const list = async (filter: Parameters<typeof listRuns>[2]) =>
    (await listRuns(pool, "ns", filter)).map(({ id }) => Number(id.slice(-2)));
  assert.deepEqual(await list({}), [4, 3, 2, 1, 5]);
  assert.deepEqual(await list({ task: "b" }), [2]);
  assert.deepEqual(await list({ status: "died" }), [3]);
  assert.deepEqual(await list({ queue: "mail" }), [4]);
  assert.deepEqual(await list({ limit: 2 }), [4, 3]);
  assert.deepEqual(await list({ limit: 2, before: AT + 3 }), [2, 1]);
  assert.deepEqual(await list({ task: "a", queue: "default", status: "succeeded", before: AT + 2 }), [1]);
  assert.deepEqual(await findRun(pool, "ns", idOf(3)), rows[2]);
  assert.equal(await findRun(pool, "other", idOf(3)), undefined);
});

test("runs are counted by status, of all tasks or of one", async (t) => {
  const pool = await aPool(t);
  await upsertRows(pool, { table: taskRunsTable, namespace: "ns" }, [
    aRun(1),
    aRun(2),
    aRun(3, { status: "died", taskName: "b" }),
  ]);
  assert.deepEqual(await countByStatus(pool, "ns"), { died: 1, succeeded: 2 });
  assert.deepEqual(await countByStatus(pool, "ns", "b"), { died: 1 });
  assert.deepEqual(await countByStatus(pool, "nobody"), {});
});

test("cron runs are listed latest first, and the last of each schedule is told", async (t) => {
  const pool = await aPool(t);
  await upsertRows(pool, { table: cronJobRunsTable, namespace: "ns" }, [
    aCronRun(1),
    aCronRun(2, { status: "skipped", reason: "held" }),
    aCronRun(3, { schedule: "z", taskName: "z", status: "failure", errorMessage: "no" }),
  ]);
  await upsertRows(pool, { table: cronJobRunsTable, namespace: "other" }, [aCronRun(1, { status: "missed" })]);
  assert.deepEqual(
    (await listCronRuns(pool, "ns")).map(({ id }) => id),
    ["run-3", "run-2", "run-1"],
  );
  assert.deepEqual(
    (await listCronRuns(pool, "ns", { task: "s", limit: 1 })).map(({ id, reason }) => [id, reason]),
    [["run-2", "held"]],
  );
  assert.deepEqual(
    (await lastPerSchedule(pool, "ns")).map(({ schedule, status }) => [schedule, status]),
    [
      ["s", "skipped"],
      ["z", "failure"],
    ],
  );
  assert.deepEqual(await countCronByStatus(pool, "ns"), { failure: 1, skipped: 1, success: 1 });
});

test("a checkpoint moves only from where it was, and only in its epoch", async (t) => {
  const pool = await aPool(t);
  await createCheckpoint(pool, { lane: "ns:q", projection: "ledger", incarnation: "life1" });
  await createCheckpoint(pool, { lane: "ns:q", projection: "ledger", incarnation: "life2" });
  const start = await findCheckpoint(pool, "ns:q", "ledger");
  assert.ok(start);
  assert.deepEqual([start.incarnation, start.ms, start.seq, start.epoch], ["life1", 0, 0, 0]);
  const move = { ms: 5, seq: 1, token: "p/1", entries: 2, events: 7, unknown: 1 };
  assert.equal(await moveCheckpoint(pool, start, move), true);
  assert.equal(await moveCheckpoint(pool, start, move), false);
  const next = await findCheckpoint(pool, "ns:q", "ledger");
  assert.deepEqual([next?.ms, next?.seq, next?.token, next?.eventsApplied], [5, 1, "p/1", 7]);
  await pool.query(sql.unsafe`update projection_checkpoints set epoch = epoch + 1`);
  assert.equal(await moveCheckpoint(pool, next as NonNullable<typeof next>, { ...move, ms: 6 }), false);
  assert.deepEqual(
    (await listCheckpoints(pool, "ns")).map(({ lane }) => lane),
    ["ns:q"],
  );
});

function anEntry(ms: number, seq = 0): ArchivedEntry {
  return { lane: "ns:q", incarnation: "life1", ms, seq, eventCount: 1, header: "{}", events: "[]", raw: null };
}

test("entries are found by their positions, and in order after one, over partitions", async (t) => {
  const pool = await aPool(t);
  const day = Math.floor(AT / PARTITION_MS);
  await ensurePartitions(pool, [day, day + 1]);
  const entries = [anEntry(AT), anEntry(AT, 1), anEntry(AT + PARTITION_MS), anEntry(AT + 5 * PARTITION_MS)];
  await insertEntries(pool, entries);
  assert.deepEqual(await findEntries(pool, [entries[2], entries[0], anEntry(7)] as ArchivedEntry[]), [
    entries[0],
    entries[2],
  ]);
  const after = { lane: "ns:q", incarnation: "life1", afterMs: AT, afterSeq: 0, limit: 2 };
  assert.deepEqual(await findEntriesAfter(pool, after), entries.slice(1, 3));
  assert.deepEqual(await findEntriesAfter(pool, { ...after, untilMs: AT }), entries.slice(1, 2));
  assert.equal((await pool.any(sql.unsafe`select from ledger_entries_default`)).length, 1);
  await assert.rejects(insertEntries(pool, [anEntry(AT)]));
});

test("a day whose entries are in the default partition stays there, and many may ask for one at once", async (t) => {
  const pool = await aPool(t);
  const day = Math.floor(AT / PARTITION_MS);
  await insertEntries(pool, [anEntry(AT)]);
  await ensurePartitions(pool, [day]);
  await Promise.all(Array.from({ length: 5 }, () => ensurePartitions(pool, [day + 1])));
  const names = await pool.any(
    sql.unsafe`select inhrelid::regclass::text as name from pg_inherits where inhparent = 'ledger_entries'::regclass order by 1`,
  );
  assert.deepEqual(names, [{ name: partitionName(day + 1) }, { name: "ledger_entries_default" }]);
});

test("schedules whose runs took longer than their locks live are found, with how long they take", async (t) => {
  const pool = await aPool(t);
  const rows = Array.from({ length: 40 }, (_, n) => aCronRun(n, { durationMs: n === 7 ? 90_000 : 1_000 + n }));
  const others = [aCronRun(100, { schedule: "quick", durationMs: 5 }), aCronRun(101, { schedule: "idle" })];
  await upsertRows(pool, { table: cronJobRunsTable, namespace: "shop" }, [...rows, ...others]);
  const lock = (schedule: string, lockTtlMs: number) => ({ queue: "default", schedule, lockTtlMs });
  const all = [lock("s", 60_000), lock("quick", 60_000), lock("idle", 60_000)];
  assert.deepEqual(await findOverrunning(pool, "shop", all), [
    { queue: "default", schedule: "s", runCount: 40, overCount: 1, longestMs: 90_000, usualMs: 1_038 },
  ]);
  assert.deepEqual(await findOverrunning(pool, "shop", [lock("s", 90_000)]), []);
  assert.deepEqual(await findOverrunning(pool, "shop", []), []);
});
