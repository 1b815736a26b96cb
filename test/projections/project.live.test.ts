import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import fc from "fast-check";
import { type DatabasePool, type QuerySqlToken, sql } from "slonik";
import { LEDGER } from "../../projections/lane-deps.ts";
import { HistoryViolation } from "../../projections/projection.ts";
import { findCheckpoint } from "../../sql/queries/checkpoints.ts";
import { listParked } from "../../sql/queries/parked.ts";
import { countByStatus, findRun } from "../../sql/queries/task-runs.ts";
import { createRunIds } from "../../streams/ids.ts";
import { eventually, testDatabase, testNamespace, testRedis } from "../support/servers.ts";
import { anEvent, CRON_RUN, EVENT_TYPES, RUN } from "./events.ts";
import { histories } from "./histories.ts";
import { aLane, aLife, aPool, aRecorder, find, startProjector } from "./lane-fixture.ts";

test("what is recorded is archived, readable through the view, and folded into both tables", async (t) => {
  const { where, pool, record, eventCount } = await aLane(t);
  const started = startProjector(t, where);
  await record(...aLife(RUN));
  await record({ ...anEvent("slot.fired", { run: CRON_RUN }), position: undefined, queue: undefined });
  await record({ type: "run.enqueued", run: CRON_RUN, task: "sync", schedule: "sync_external_data", slot: Date.now() });
  await record({ type: "run.started", run: CRON_RUN, task: "sync", attempt: 1, delivery: 1 });
  await record({
    type: "run.died",
    run: CRON_RUN,
    task: "sync",
    reason: "attempts",
    error: { type: "E", message: "it broke", fingerprint: "f" },
  });
  await eventually(async () => (await eventCount()) === 7);
  assert.equal((await findRun(pool, where.namespace, RUN))?.status, "succeeded");
  const rows = await find(
    pool,
    sql.unsafe`select task_name, status, started_at is not null as started, ended_at is not null as ended, error_message from cron_job_runs`,
  );
  assert.deepEqual(rows, [
    { task_name: "send_welcome_email", status: "failure", started: true, ended: true, error_message: "it broke" },
  ]);
  const events = await find(
    pool,
    sql.unsafe`select type, worker, queue, namespace, index from ledger_events where run = ${RUN} order by ms, seq, index`,
  );
  assert.deepEqual(
    events.map(({ type, index }) => `${index} ${type}`),
    ["0 run.enqueued", "1 run.started", "2 run.succeeded"],
  );
  assert.deepEqual(
    [events[0]?.worker, events[0]?.queue, events[0]?.namespace],
    ["worker-1", "default", where.namespace],
  );
  assert.deepEqual(
    started.notices.filter(({ kind }) => kind === "problem"),
    [],
  );
});

test("every event type goes through the database", async (t) => {
  const { where, pool, record, eventCount } = await aLane(t);
  startProjector(t, where);
  const ids = createRunIds("default");
  for (const type of EVENT_TYPES)
    await record({ ...anEvent(type, { run: ids(Date.now()) }), position: undefined, traceId: undefined });
  await eventually(async () => (await eventCount()) === EVENT_TYPES.length);
  assert.deepEqual(await listParked(pool, where.namespace), []);
  assert.ok((await find(pool, sql.unsafe`select from task_runs`)).length > 10);
});

test("two projectors at once apply each event once", async (t) => {
  const { where, pool, record, eventCount } = await aLane(t);
  const both = [startProjector(t, where), startProjector(t, where)];
  const ids = createRunIds("default");
  const runs = Array.from({ length: 400 }, () => ids(Date.now()));
  for (const step of [0, 1, 2]) for (const run of runs) await record(aLife(run)[step] as object);
  await eventually(async () => (await eventCount()) === 1_200);
  assert.deepEqual(await countByStatus(pool, where.namespace), { succeeded: 400 });
  const checkpoint = await findCheckpoint(pool, `${where.namespace}:default`, LEDGER);
  assert.deepEqual(
    [checkpoint?.eventsApplied, checkpoint?.entriesApplied, checkpoint?.unknownEvents],
    [1_200, 1_200, 0],
  );
  const told = both.map(({ notices }) =>
    notices.reduce((sum, one) => sum + (one.kind === "batch.projected" ? one.events : 0), 0),
  );
  assert.equal((told[0] ?? 0) + (told[1] ?? 0), 1_200);
  assert.deepEqual(
    both.flatMap(({ notices }) => notices.filter(({ kind }) => kind === "problem")),
    [],
  );
});

/** A pool on which one query waits for `until`: a projector that dozes off after it has read its checkpoint. */
function dozing(pool: DatabasePool, until: Promise<unknown>): DatabasePool {
  return {
    ...pool,
    async any(query: QuerySqlToken) {
      if (query.sql.includes("projection_parked")) await until;
      return pool.any(query);
    },
  } as DatabasePool;
}

test("a projector that slept while another one worked finds itself on standby, not a broken history", async (t) => {
  const { where, pool, record, redis, keys, eventCount } = await aLane(t);
  for (const past of [0, 3]) {
    const { promise: awake, resolve: wake } = Promise.withResolvers<void>();
    const slow = startProjector(t, { ...where, database: () => dozing(pool, awake) });
    await record(...aLife(past === 0 ? RUN : CRON_RUN));
    const quick = startProjector(t, where);
    await eventually(async () => (await eventCount()) === past + 3);
    await redis.xtrim(keys.events, "MAXLEN", 1);
    wake();
    await eventually(() => slow.projector.health().isReady);
    await quick.stop();
    await slow.stop();
    assert.deepEqual(
      slow.notices.filter(({ kind }) => kind === "problem"),
      [],
    );
  }
});

test("a projector that is stopped and started in the middle goes on where it was", async (t) => {
  const { where, pool, record, eventCount } = await aLane(t);
  const ids = createRunIds("default");
  let isWriting = true;
  const restarting = (async () => {
    while (isWriting) {
      const one = startProjector(t, { ...where, settings: { batchEntries: 7 } });
      await delay(60);
      await one.stop();
    }
  })();
  for (let n = 0; n < 300; n += 1) await record(...aLife(ids(Date.now())));
  isWriting = false;
  await restarting;
  startProjector(t, where);
  await eventually(async () => (await eventCount()) === 900);
  assert.deepEqual(await countByStatus(pool, where.namespace), { succeeded: 300 });
});

test("neither the size of batches nor what is remembered between them changes a row", async (t) => {
  const where = { redis: await testRedis(), namespace: testNamespace() };
  const { record } = await aRecorder(t, where.redis, where.namespace);
  const samples = fc.sample(histories, { numRuns: 20, seed: 7 });
  const history = samples.reduce((longest, one) => (one.length > longest.length ? one : longest));
  assert.ok(history.length > 60);
  for (const { position: _, traceId: __, ...event } of history) await record(event);
  const tables: unknown[] = [];
  for (const settings of [
    { batchEntries: 1_000 },
    { batchEntries: 1, lingerMs: 0, cachedRows: 0 },
    { batchEntries: 7, lingerBelow: 0, cachedRows: 2 },
    { batchEntries: 3, lingerBelow: 0 },
  ]) {
    const database = await testDatabase();
    const pool = await aPool(t, database);
    const { stop, notices } = startProjector(t, { ...where, database, settings });
    const count = sql.unsafe`select from ledger_events`;
    await eventually(async () => (await find(pool, count)).length === history.length);
    await stop();
    assert.deepEqual(
      notices.filter(({ kind }) => kind === "problem"),
      [],
    );
    const dump = async (query: QuerySqlToken) => (await find(pool, query)).map((row) => JSON.stringify(row));
    tables.push({
      runs: await dump(sql.unsafe`select t::text from task_runs t order by id`),
      crons: await dump(sql.unsafe`select t::text from cron_job_runs t order by id`),
    });
  }
  for (const table of tables.slice(1)) assert.deepEqual(table, tables[0]);
});

test("a transition after an ending stops the projector, and nothing of its batch is kept", async (t) => {
  const { where, record, eventCount } = await aLane(t);
  await record(...aLife(RUN));
  await record({ type: "run.started", run: RUN, task: "noop", attempt: 2, delivery: 1 });
  const { ended, projector } = startProjector(t, where);
  await assert.rejects(ended, HistoryViolation);
  assert.equal(await eventCount(), 0);
  assert.equal(projector.health().isLive, false);
});

test("Redis is trimmed to the checkpoint's own entry, and never beyond it", async (t) => {
  const { where, record, redis, keys, eventCount } = await aLane(t);
  const ids = createRunIds("default");
  await redis.config("SET", "stream-node-max-entries", "100");
  const { notices } = startProjector(t, { ...where, settings: { keepMs: 0, trimEveryMs: 1, batchEntries: 50 } });
  for (let n = 0; n < 1_000; n += 1) await record(aLife(ids(Date.now()))[0] as object);
  await eventually(async () => (await eventCount()) === 1_000);
  await eventually(async () => (await redis.xlen(keys.events)) <= 200);
  await record(aLife(ids(Date.now()))[0] as object);
  await eventually(async () => (await eventCount()) === 1_001);
  assert.deepEqual(
    notices.filter(({ kind }) => kind === "problem"),
    [],
  );
});

test("queues that appear later are found", async (t) => {
  const { where, eventCount } = await aLane(t);
  const { projector } = startProjector(t, { ...where, queues: ["declared"] });
  await eventually(() => projector.health().isReady);
  assert.deepEqual(Object.keys(projector.health().lanes).sort(), ["declared", "default"]);
  const late = await aRecorder(t, where.redis, where.namespace, "late");
  await late.record(aLife(RUN)[0] as object);
  await eventually(async () => (await eventCount()) === 1);
});

test("the archive has a partition for today and a week ahead", async (t) => {
  const { where, pool, record, eventCount } = await aLane(t);
  startProjector(t, where);
  await record(aLife(RUN)[0] as object);
  await eventually(async () => (await eventCount()) === 1);
  const parts = await find(
    pool,
    sql.unsafe`select inhrelid::regclass::text as name from pg_inherits where inhparent = 'ledger_entries'::regclass`,
  );
  assert.equal(parts.length, 9);
  assert.equal((await find(pool, sql.unsafe`select from ledger_entries_default`)).length, 0);
});
