import assert from "node:assert/strict";
import { test } from "node:test";
import { cronRunId } from "../../streams/ids.ts";
import { fire } from "../../streams/schedules.ts";
import { eventually } from "../support/servers.ts";
import { startProjector } from "./lane-fixture.ts";
import { snapshot } from "./time-machine.ts";
import { aWorld, workOff } from "./world-fixture.ts";

test("a slot whose run had ended, or that was missed, is not fired again by a lane that has forgotten it", async (t) => {
  const { where, redis, lane, projected } = await aWorld(t);
  const projector = startProjector(t, where);
  await redis.hset(lane.keys.cron, "definition:nightly", "{}");
  const empty = await snapshot(lane);
  const [first, second] = [1_700_000_000_000, 1_700_000_060_000];
  const run = cronRunId({ namespace: lane.namespace, queue: "default", schedule: "nightly", slotMs: first, rerun: 0 });
  const of = { schedule: "nightly", task: "send" };
  const note = { ...of, run, slot: first, trigger: "schedule", lateMs: 3, timezone: "UTC" } as const;
  const enqueued = {
    type: "run.enqueued",
    run,
    task: "send",
    schedule: "nightly",
    slot: first,
    trigger: "schedule",
  } as const;
  const made = { id: run, task: "send", expires: 0, meta: "{}", body: "" };
  const firing = { schedule: "nightly", last: undefined, slot: first, run: made };
  await fire(lane, [{ ...firing, events: [{ type: "slot.fired", ...note }, enqueued] }]);
  assert.deepEqual(await workOff(lane), [run]);
  const missed = { type: "slot.missed", ...of, slot: second, until: second, missedCount: 1, reason: "window" } as const;
  await fire(lane, [{ schedule: "nightly", last: first, slot: second, events: [missed] }]);
  await projected();
  const standing = await redis.hgetall(lane.keys.cron);
  await empty.restore();
  assert.deepEqual(await redis.hgetall(lane.keys.cron), { "definition:nightly": "{}" });
  await eventually(() => projector.notices.find((one) => one.kind === "lane.repaired"), { timeoutMs: 20_000 });
  const again = await redis.hgetall(lane.keys.cron);
  for (const name of ["last:nightly", "fired:nightly", "count:nightly"])
    assert.equal(again[name], standing[name], name);
  const [fired] = await fire(lane, [{ ...firing, events: [{ type: "slot.fired", ...note }, enqueued] }]);
  assert.equal(fired?.isFired, false, "it had fired");
  assert.deepEqual(await workOff(lane), []);
});
