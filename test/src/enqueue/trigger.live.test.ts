import assert from "node:assert/strict";
import { test } from "node:test";
import { cron } from "../../../src/define/cron.ts";
import { openWork } from "../../support/work.ts";

test("a cron that is triggered runs now, as a slot of its own, each time", async () => {
  await using work = await openWork();
  const nightly = cron(work.broker, "0 3 * * *", {
    name: "nightly",
    timezone: "Europe/Berlin",
    overlap: "allow",
    run: (slot) => ({ ...slot, at: slot.at.getTime(), previous: slot.previous?.getTime() ?? null }),
  });
  const before = Date.now();
  const [one, other] = await Promise.all([nightly.trigger(), nightly.trigger()]);
  assert.notEqual(one.id, other.id);
  work.work();
  const slot = await one.result();
  assert.ok(slot.at >= before - 1_000 && slot.at <= Date.now() + 1_000);
  assert.deepEqual(
    { ...slot, at: 0 },
    {
      schedule: "nightly",
      at: 0,
      previous: null,
      timezone: "Europe/Berlin",
      trigger: "manual",
    },
  );
  await other.result();
  const [fired, enqueued] = await one.events();
  assert.ok(fired?.type === "slot.fired" && enqueued?.type === "run.enqueued");
  assert.deepEqual(
    [fired.schedule, fired.slot, fired.trigger, fired.run, fired.lateMs, fired.timezone],
    ["nightly", slot.at, "manual", one.id, 0, "Europe/Berlin"],
  );
  assert.match(String(fired.scheduledLocal), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+0[12]:00$/);
  assert.deepEqual([enqueued.schedule, enqueued.slot, enqueued.trigger], ["nightly", slot.at, "manual"]);
});

test("a run that was triggered is found by its id, which tells neither time nor queue", async () => {
  await using work = await openWork();
  const nightly = cron(work.broker, "0 3 * * *", { name: "nightly", queue: "nights", run: () => "done" });
  const { id } = await nightly.trigger();
  const stranger = work.another();
  assert.equal(await stranger.handle(id).status(), "waiting");
  assert.equal(await nightly.handle(id).cancel(), true);
  assert.equal(await stranger.handle(id).status(), "cancelled");
});

test("the last slot that fired by itself is told as the one before", async () => {
  await using work = await openWork();
  const nightly = cron(work.broker, "0 3 * * *", { name: "nightly", run: (slot) => slot.previous?.getTime() ?? null });
  await work.redis.hset(work.keys.cron, "fired:nightly", "86400000");
  work.work();
  assert.equal(await (await nightly.trigger()).result(), 86_400_000);
});
