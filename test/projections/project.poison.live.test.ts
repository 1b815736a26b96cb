import assert from "node:assert/strict";
import { test } from "node:test";
import { sql } from "slonik";
import { cronJobRuns } from "../../projections/cron-job-runs.ts";
import { LEDGER } from "../../projections/lane-deps.ts";
import { taskRuns } from "../../projections/task-runs.ts";
import { findCheckpoint } from "../../sql/queries/checkpoints.ts";
import { listParked } from "../../sql/queries/parked.ts";
import { countByStatus, findRun } from "../../sql/queries/task-runs.ts";
import { createRunIds } from "../../streams/ids.ts";
import { eventually } from "../support/servers.ts";
import { RUN } from "./events.ts";
import { aLane, aLife, find, startProjector } from "./lane-fixture.ts";

test("poison parks its key with the error, and everything else goes on", async (t) => {
  const { where, pool, record, append, eventCount } = await aLane(t);
  const { notices } = startProjector(t, where);
  const ids = createRunIds("default");
  const runs = Array.from({ length: 20 }, () => ids(Date.now()));
  const poisoned = runs[7] as string;
  await record(...runs.map((run) => aLife(run)[0] as object));
  await eventually(async () => (await eventCount()) === 20);
  await record(...runs.map((run) => ({ ...aLife(run)[1], ...(run === poisoned ? { attempt: "two" } : {}) })));
  await append({ events: "this is no JSON \0" });
  await record({ type: "run.due", run: "no-uuid", task: "t" }, { type: "run.invented", run: RUN });
  await record(...runs.map((run) => aLife(run)[2] as object));
  await eventually(async () => (await eventCount()) === 63);
  assert.deepEqual(await countByStatus(pool, where.namespace), { succeeded: 19, waiting: 1 });
  const parked = await listParked(pool, where.namespace);
  assert.deepEqual(new Set(parked.map(({ eventType }) => eventType)), new Set(["run.started", "run.due"]));
  assert.equal(parked.find(({ key }) => key === poisoned)?.projection, "task_runs");
  const checkpoint = await findCheckpoint(pool, `${where.namespace}:default`, LEDGER);
  assert.equal(checkpoint?.unknownEvents, 2);
  assert.equal(notices.filter((one) => one.kind === "problem").length, 2);
  const malformed = await find(pool, sql.unsafe`select raw from ledger_entries where raw is not null`);
  assert.match(String(malformed[0]?.raw), /this is no JSON \\u0000/);
});

test("poison in a backlog, where batches are prepared ahead, costs its own key and nothing else", async (t) => {
  const { where, pool, record, eventCount } = await aLane(t);
  const ids = createRunIds("default");
  const runs = Array.from({ length: 60 }, () => ids(Date.now()));
  const isPoisoned = (n: number) => n % 20 === 7;
  for (const step of [0, 1, 2]) {
    for (const [n, run] of runs.entries())
      await record({ ...aLife(run)[step], ...(step === 1 && isPoisoned(n) ? { attempt: "two" } : {}) });
  }
  const { notices } = startProjector(t, { ...where, settings: { batchEntries: 4, lingerBelow: 0 } });
  await eventually(async () => (await eventCount()) === 180);
  assert.deepEqual(await countByStatus(pool, where.namespace), { succeeded: 57, waiting: 3 });
  const parked = await listParked(pool, where.namespace);
  assert.deepEqual(parked.map(({ key }) => key).sort(), runs.filter((_, n) => isPoisoned(n)).sort());
  assert.equal(notices.filter(({ kind }) => kind === "problem").length, 3);
});

test("a parked key stays parked for the next projector", async (t) => {
  const { where, pool, record, eventCount } = await aLane(t);
  const refusing = { ...taskRuns, fold: () => assert.fail("poison") };
  const first = startProjector(t, { ...where, projections: [refusing as never, cronJobRuns as never] });
  await record(aLife(RUN)[0] as object);
  await eventually(async () => (await listParked(pool, where.namespace)).length === 1);
  await first.stop();
  startProjector(t, where);
  await record(aLife(RUN)[1] as object);
  await eventually(async () => (await eventCount()) === 2);
  assert.equal(await findRun(pool, where.namespace, RUN), undefined);
});
