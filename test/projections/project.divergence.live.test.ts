import assert from "node:assert/strict";
import { test } from "node:test";
import { sql } from "slonik";
import { LEDGER } from "../../projections/lane-deps.ts";
import { findCheckpoint } from "../../sql/queries/checkpoints.ts";
import { countByStatus } from "../../sql/queries/task-runs.ts";
import { eventually } from "../support/servers.ts";
import { CRON_RUN, RUN } from "./events.ts";
import { aLane, aLife, aRecorder, find, startProjector } from "./lane-fixture.ts";

test("a lane whose history has diverged stops alone, loudly, and writes nothing", async (t) => {
  const { where, pool, record, append, redis, keys, eventCount } = await aLane(t);
  const other = await aRecorder(t, where.redis, where.namespace, "other");
  const before = startProjector(t, where);
  await record({ type: "run.due", run: RUN, task: "t" });
  const last = await record({ type: "run.due", run: RUN, task: "t" });
  await eventually(async () => (await eventCount()) === 2);
  await before.stop();
  // A primary that died with its tail: the same id, another batch; and more after it, so that the last id tells nothing.
  await redis.del(keys.events);
  await append({ id: last, header: '{"f":1,"p":"else","c":9,"codec":"json","d":{"v":1}}', events: "[]" });
  await record({ type: "run.due", run: RUN, task: "t" });
  const { notices, projector } = startProjector(t, where);
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

test("a ledger that was deleted while its lane lives on has diverged, too", async (t) => {
  const { where, record, redis, keys, eventCount } = await aLane(t);
  const { notices } = startProjector(t, where);
  await record({ type: "run.due", run: RUN, task: "t" });
  await eventually(async () => (await eventCount()) === 1);
  await redis.del(keys.events);
  const told = await eventually(() =>
    notices.find((one) => one.kind === "problem" && one.what.includes("no longer projected")),
  );
  assert.match(String(told.kind === "problem" && told.error), /Redis has nothing there/);
});

test("after FLUSHALL a lane's ledger begins anew, with a word about it, and the archive keeps both lives", async (t) => {
  const { where, pool, record, redis, keys, eventCount } = await aLane(t);
  const { notices, projector } = startProjector(t, where);
  await record(...aLife(RUN).slice(0, 2));
  await eventually(async () => (await eventCount()) === 2);
  await redis.del(keys.events, keys.meta);
  await record(...aLife(RUN), ...aLife(CRON_RUN));
  await eventually(async () => (await eventCount()) === 8);
  const told = notices.filter((one) => one.kind === "problem");
  assert.match(told[0]?.what ?? "", /was emptied/);
  assert.equal(told.length, 1);
  const lives = await find(pool, sql.unsafe`select number, incarnation from lane_incarnations order by number`);
  assert.deepEqual(
    lives.map(({ number }) => number),
    [1, 2],
  );
  assert.deepEqual(await countByStatus(pool, where.namespace), { succeeded: 2 });
  assert.equal(projector.health().isReady, true);
});
