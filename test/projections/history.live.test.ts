import assert from "node:assert/strict";
import { test } from "node:test";
import { readRun } from "../../projections/history.ts";
import type { AnyEvent } from "../../projections/read-lane.ts";
import { findRun } from "../../sql/queries/task-runs.ts";
import { createRunIds } from "../../streams/ids.ts";
import { eventually, testDatabase, testNamespace, testRedis } from "../support/servers.ts";
import { aPool, aRecorder, startProjector } from "./lane-fixture.ts";

const ids = createRunIds("default");

async function setUp(t: Parameters<typeof aPool>[0]) {
  const where = { redis: await testRedis(), database: await testDatabase(), namespace: testNamespace() };
  const pool = await aPool(t, where.database);
  const recorder = await aRecorder(t, where.redis, where.namespace);
  const source = { namespace: where.namespace, redis: recorder.redis, pool };
  const projected = (count: number, one: ReturnType<typeof startProjector>) =>
    eventually(
      () =>
        one.notices.reduce((sum, notice) => sum + (notice.kind === "batch.projected" ? notice.events : 0), 0) === count,
    );
  return { where, pool, source, projected, ...recorder };
}

const typesOf = (events: readonly AnyEvent[]) => events.map(({ type }) => type.slice(4));

function started(run: string) {
  return { type: "run.started", run, task: "noop", attempt: 1, delivery: 1 };
}

test("a run's history comes from the archive by its positions, and from the tail what is not projected yet", async (t) => {
  const { where, source, projected, record } = await setUp(t);
  const [run, other] = [ids(Date.now()), ids(Date.now())];
  const projector = startProjector(t, where);
  await record({ type: "run.enqueued", run: other, task: "noop" }, { type: "run.enqueued", run, task: "noop" });
  await record(started(run));
  await projected(3, projector);
  await projector.stop();
  await record({ type: "run.succeeded", run, task: "noop", attempt: 1, delivery: 1, durationMs: 2 }, started(other));
  const history = await readRun(source, run, ["default"]);
  assert.deepEqual(typesOf(history), ["enqueued", "started", "succeeded"]);
  assert.match(history[0]?.position ?? "", /^default\/[0-9a-f]+\/\d+-\d+\/1$/);
});

test("a run that is not projected yet is found in the tail", async (t) => {
  const { source, record } = await setUp(t);
  const run = ids(Date.now());
  for (let n = 0; n < 40; n += 1) await record(started(ids(Date.now())));
  await record({ type: "run.enqueued", run, task: "noop" });
  assert.deepEqual(typesOf(await readRun(source, run, ["default", "empty"])), ["enqueued"]);
  assert.deepEqual(typesOf(await readRun({ ...source, pool: undefined }, run, ["default"])), ["enqueued"]);
  assert.deepEqual(await readRun(source, ids(Date.now()), ["default"]), []);
});

test("a life of more entries than its row keeps is read in full", async (t) => {
  const { where, source, pool, projected, record } = await setUp(t);
  const run = ids(Date.now());
  const projector = startProjector(t, where);
  await record({ type: "run.enqueued", run, task: "noop" });
  for (let n = 0; n < 300; n += 1)
    await record({ type: "run.deferred", run, task: "noop", reason: "limit", retryAt: 1 });
  await projected(301, projector);
  assert.match((await findRun(pool, where.namespace, run))?.positions ?? "", /…/);
  assert.equal((await readRun(source, run, ["default"])).length, 301);
});
