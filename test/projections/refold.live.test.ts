import assert from "node:assert/strict";
import { test } from "node:test";
import { cronJobRuns } from "../../projections/cron-job-runs.ts";
import type { AnyProjection } from "../../projections/projection.ts";
import { refoldKey } from "../../projections/refold.ts";
import { taskRuns } from "../../projections/task-runs.ts";
import { listParked } from "../../sql/queries/parked.ts";
import { findRun } from "../../sql/queries/task-runs.ts";
import { createRunIds } from "../../streams/ids.ts";
import { eventually } from "../support/servers.ts";
import { RUN } from "./events.ts";
import { aLane, aLife, startProjector } from "./lane-fixture.ts";

const projection = taskRuns as unknown as AnyProjection;

test("a parked key is taken back once its fold was mended, with the row that it would have had", async (t) => {
  const { where, pool, record, eventCount } = await aLane(t);
  const fold: AnyProjection["fold"] = (row, event) => {
    assert.ok(event.type !== "run.started", "poison");
    return projection.fold(row, event);
  };
  const broken = { ...projection, fold };
  const first = startProjector(t, { ...where, projections: [broken, cronJobRuns as never] });
  const twin = createRunIds("default")(Date.now());
  for (const step of aLife(RUN)) await record(step);
  await eventually(async () => (await eventCount()) === 3);
  await first.stop();
  const [parked] = await listParked(pool, where.namespace);
  assert.ok(parked !== undefined && parked.eventType === "run.started");
  assert.equal((await refoldKey(pool, broken, { parked, isSkipping: false })).outcome, "parked");
  assert.equal((await listParked(pool, where.namespace)).length, 1);

  // The next projector knows of the key, until it is taken back under its hands.
  startProjector(t, where);
  await record({ type: "run.redriven", run: RUN, task: "noop", as: twin });
  await eventually(async () => (await eventCount()) === 4);
  assert.equal((await findRun(pool, where.namespace, RUN))?.status, "waiting");
  assert.deepEqual(await refoldKey(pool, projection, { parked, isSkipping: false }), {
    outcome: "folded",
    eventCount: 3,
  });
  await record({ type: "run.progressed", run: RUN, task: "noop", attempt: 1, delivery: 1, done: 1 }, ...aLife(twin));
  await eventually(async () => (await findRun(pool, where.namespace, twin))?.status === "succeeded");
  const [one, other] = [await findRun(pool, where.namespace, RUN), await findRun(pool, where.namespace, twin)];
  assert.deepEqual([one?.status, one?.attempts, one?.redrivenAs], ["succeeded", 1, twin]);
  assert.equal(one?.positions.split(" ").length, 5, "place, and the four entries that say something of it");
  assert.equal(other?.status, "succeeded");
  assert.deepEqual(await listParked(pool, where.namespace), []);
});

test("a refused event can be given up, and what came after it counts", async (t) => {
  const { where, pool, record, eventCount } = await aLane(t);
  startProjector(t, where);
  const [enqueued, started, succeeded] = aLife(RUN) as [object, object, object];
  await record(enqueued);
  await eventually(async () => (await eventCount()) === 1);
  await record({ ...started, attempt: "two" });
  await record(started, succeeded);
  await eventually(async () => (await eventCount()) === 4);
  const [parked] = await listParked(pool, where.namespace);
  assert.ok(parked);
  const again = await refoldKey(pool, projection, { parked, isSkipping: false });
  assert.equal(again.outcome, "parked");
  assert.deepEqual(await refoldKey(pool, projection, { parked, isSkipping: true }), {
    outcome: "folded",
    eventCount: 2,
  });
  const row = await findRun(pool, where.namespace, RUN);
  assert.deepEqual([row?.status, row?.attempts], ["succeeded", 1]);
  assert.deepEqual(await listParked(pool, where.namespace), []);
});
