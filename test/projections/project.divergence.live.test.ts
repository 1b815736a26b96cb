import assert from "node:assert/strict";
import { test } from "node:test";
import { sql } from "slonik";
import { LEDGER } from "../../projections/lane-deps.ts";
import { findCheckpoint } from "../../sql/queries/checkpoints.ts";
import { eventually } from "../support/servers.ts";
import { RUN } from "./events.ts";
import { aLane, aRecorder, find, startProjector } from "./lane-fixture.ts";

test("a lane whose history has diverged is stopped alone, loudly, and writes nothing, where that is wanted", async (t) => {
  const { where, pool, record, append, redis, keys, eventCount } = await aLane(t);
  const other = await aRecorder(t, where.redis, where.namespace, "other");
  const settings = { onRegression: "pause" } as const;
  const before = startProjector(t, { ...where, settings });
  await record({ type: "run.due", run: RUN, task: "t" });
  const last = await record({ type: "run.due", run: RUN, task: "t" });
  await eventually(async () => (await eventCount()) === 2);
  await before.stop();
  // A primary that died with its tail: the same id, another batch; and more after it, so that the last id tells nothing.
  await redis.del(keys.events);
  await append({ id: last, header: '{"f":1,"p":"else","c":9,"codec":"json","d":{"v":1}}', events: "[]" });
  await record({ type: "run.due", run: RUN, task: "t" });
  const { notices, projector } = startProjector(t, { ...where, settings });
  await other.record({ type: "run.due", run: RUN, task: "t" });
  const told = await eventually(() =>
    notices.find((one) => one.kind === "problem" && one.what.includes("no longer projected")),
  );
  assert.match(String(told.kind === "problem" && told.error), /diverged.*batch recorder\/2.*batch else\/9/);
  await eventually(async () => (await eventCount()) === 3);
  assert.deepEqual(projector.health().lanes, { default: "stopped", other: "following" });
  assert.equal(projector.health().isReady, false);
  assert.equal((await findCheckpoint(pool, `${where.namespace}:default`, LEDGER))?.eventsApplied, 2);
});

test("a ledger that was deleted while its lane lives on goes on in a new life, and the archive keeps both", async (t) => {
  const { where, pool, record, redis, keys, eventCount } = await aLane(t);
  const { notices, projector } = startProjector(t, where);
  await record({ type: "run.due", run: RUN, task: "t" });
  await eventually(async () => (await eventCount()) === 1);
  await redis.del(keys.events);
  const told = await eventually(() => notices.find((one) => one.kind === "problem"));
  assert.match(String(told.kind === "problem" && told.error), /Redis has nothing there/);
  await eventually(() => notices.some((one) => one.kind === "lane.repaired"));
  await record({ type: "run.due", run: RUN, task: "t" });
  const types = () =>
    find(
      pool,
      sql.unsafe`select i.number, e.type from ledger_events e join lane_incarnations i using (lane, incarnation) order by i.number, e.ms, e.seq`,
    );
  await eventually(async () => (await types()).length === 4);
  assert.deepEqual(
    (await types()).map(({ number, type }) => `${number} ${type}`),
    ["1 run.due", "2 lane.regressed", "2 lane.repaired", "2 run.due"],
  );
  assert.equal(projector.health().isReady, true);
});
