import assert from "node:assert/strict";
import { test } from "node:test";
import { sql } from "slonik";
import { cronJobRuns } from "../../../projections/cron-job-runs.ts";
import type { OwnDefinition } from "../../../projections/own.ts";
import type { AnyProjection } from "../../../projections/projection.ts";
import { taskRuns } from "../../../projections/task-runs.ts";
import { listParked } from "../../../sql/queries/parked.ts";
import { createRunIds } from "../../../streams/ids.ts";
import { failures } from "../../examples/projections/failures.ts";
import { aLane, aLife, find, startProjector } from "../../projections/lane-fixture.ts";
import { eventually } from "../../support/servers.ts";
import { documents, tasktrail } from "./tasktrail.ts";

const projection = taskRuns as unknown as AnyProjection;
const own = failures as unknown as OwnDefinition;
const error = { type: "TypeError", message: "x is undefined", fingerprint: "f00" };

test("parked keys are listed, tried again once the fold was mended, and given up", async (t) => {
  const { where, pool, record, eventCount } = await aLane(t);
  const ids = createRunIds("default");
  const [one, other] = [ids(Date.now()), ids(Date.now())];
  const fold: AnyProjection["fold"] = (row, event) => {
    assert.ok(event.type !== "run.started", "poison");
    return projection.fold(row, event);
  };
  const ownFold: OwnDefinition["fold"] = () => {
    throw new RangeError("no failures, please");
  };
  const broken = [{ ...projection, fold }, cronJobRuns as unknown as AnyProjection];
  const first = startProjector(t, { ...where, projections: broken, own: [{ ...own, fold: ownFold }] });
  await record(...aLife(one), ...aLife(other));
  const attempt = { run: ids(Date.now()), task: "noop", attempt: 1, delivery: 1 };
  await record({ type: "run.failed", ...attempt, error, durationMs: 1 });
  await eventually(async () => (await eventCount()) === 7);
  await eventually(async () => (await listParked(pool, where.namespace)).length === 3);
  await first.stop();

  const env = { DATABASE_URL: where.database, REDIS_URL: where.redis, TASKTRAIL_NAMESPACE: where.namespace };
  const parked = (...args: string[]) => tasktrail(["parked", ...args], { env });
  const listed = documents(await parked("list", "--json"));
  assert.deepEqual(listed.map(({ projection: name, eventType }) => `${name} ${eventType}`).sort(), [
    "failures@1 run.failed",
    "task_runs run.started",
    "task_runs run.started",
  ]);
  assert.match(
    (await parked("list", "--projection", "failures@1")).out,
    /f00 .*run\.failed +RangeError: no failures, please/,
  );
  assert.match((await parked("retry")).err, /No key is named/);
  assert.match((await parked("retry", "nobody")).err, /Not parked: nobody/);

  const retried = documents(await parked("retry", one, "--json"));
  assert.deepEqual(retried, [{ projection: "task_runs", key: one, outcome: "folded", eventCount: 2 }]);
  const discarded = await parked("discard", other);
  assert.equal(discarded.code, 0, discarded.err);
  assert.deepEqual(
    await find(pool, sql.unsafe`select status from task_runs where id in (${one}, ${other}) order by id`),
    [{ status: "succeeded" }, { status: "succeeded" }],
  );
  const unknown = await parked("retry", "--all");
  assert.deepEqual([unknown.code, /--app/.test(unknown.err)], [1, true], unknown.err);
  const mended = await parked("retry", "--all", "--app", "test/examples/projections/app.ts");
  assert.equal(mended.code, 0, mended.err);
  assert.deepEqual(await find(pool, sql.unsafe`select fingerprint, count from failures`), [
    { fingerprint: "f00", count: 1 },
  ]);
  assert.deepEqual(await listParked(pool, where.namespace), []);
  assert.match((await parked("list")).err, /No key is parked/);
});
