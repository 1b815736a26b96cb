import assert from "node:assert/strict";
import { test } from "node:test";
import { createBroker } from "../../../src/broker.ts";
import { engineOf } from "../../../src/engine.ts";
import { readSchedules } from "../../../streams/cron.ts";
import { testNamespace, testRedis } from "../../support/servers.ts";
import { handClock, outcomeOf, silent, testScheduler } from "./rig.ts";

const MINUTE = 60_000;
// Instants in the past: a slot that is yet to come is refused by Redis' own clock.
const start = Date.parse("2026-03-01T00:00:00Z");

/** A process of one version of an application: it makes its schedule when it starts, and has a scheduler. Its clock is set by hand. */
async function processOf(namespace: string, cron: string, startMs: number) {
  const broker = createBroker({ redis: await testRedis(), namespace, logger: silent });
  const task = broker.task({ name: "report", run() {} });
  const lane = await engineOf(broker).lane("default");
  const clock = handClock(startMs);
  Object.assign(lane.clock, clock); // which all lanes of the broker go by
  const scheduler = await testScheduler({ namespace, crons: [], startMs, locks: "none" });
  const begin = () => broker.schedules.upsert("r", { task, cron: cron as "* * * * *", misfire: "fire_all" });
  await begin();
  return {
    lane: { ...lane, redis: scheduler.opened.redis },
    scheduler,
    begin,
    clock,
    async fireAt(at: number) {
      clock.set(at);
      scheduler.clock.set(at);
      await scheduler.refresh();
      await scheduler.fireAt(at);
    },
    async [Symbol.asyncDispose]() {
      await scheduler[Symbol.asyncDispose]();
      await broker.close();
    },
  };
}

test("two versions that make the same schedule at run time and are deployed one over the other lose and double no slot", async () => {
  const namespace = testNamespace();
  const same = "*/2 * * * *";
  const running = [await processOf(namespace, same, start), await processOf(namespace, same, start)];
  for (let minute = 1; minute <= 20; minute += 1) {
    const at = start + minute * MINUTE;
    await Promise.all(running.map((one) => one.fireAt(at)));
    // One by one, in the middle of a minute and while the others fire, processes give way to those of the new version.
    if (minute % 5 !== 0) continue;
    await running.shift()?.[Symbol.asyncDispose]();
    running.push(await processOf(namespace, same, at + 30_000));
  }
  const [one] = running as [(typeof running)[0], ...typeof running];
  const { fired, events } = await outcomeOf(one.lane);
  assert.deepEqual(
    fired.map((slot) => (slot - start) / MINUTE),
    Array.from({ length: 10 }, (_, index) => 2 * (index + 1)),
  );
  assert.equal(events.filter(({ type }) => type === "schedule.upserted").length, 1);
  for (const each of running) await each[Symbol.asyncDispose]();
});

test("while two versions overwrite each other's schedule, every slot of what stood at its time fires, once", async () => {
  const namespace = testNamespace();
  await using old = await processOf(namespace, "*/2 * * * *", start);
  await using next = await processOf(namespace, "*/3 * * * *", start + 30_000);
  let stands = 3;
  const expected: number[] = [];
  for (let minute = 1; minute <= 24; minute += 1) {
    if (minute % stands === 0) expected.push(minute);
    // Neither of their schedulers has been told of the change that follows.
    await Promise.all([old.fireAt(start + minute * MINUTE), next.fireAt(start + minute * MINUTE)]);
    if (minute % 4 !== 0) continue;
    stands = stands === 3 ? 2 : 3;
    const at = start + minute * MINUTE + 20_000;
    const restarted = stands === 2 ? old : next;
    restarted.clock.set(at);
    await restarted.begin();
  }
  const { fired } = await outcomeOf(old.lane);
  assert.deepEqual(
    fired.map((slot) => (slot - start) / MINUTE),
    expected,
  );
});

test("a schedule that a newer version has written in a form of its own is left to it, and goes on from its last slot", async () => {
  const namespace = testNamespace();
  await using one = await processOf(namespace, "* * * * *", start);
  await one.fireAt(start + MINUTE);
  const [kept] = await readSchedules(one.lane, ["r"]);
  const { cron } = one.lane.keys;
  await one.lane.redis.hset(cron, { "definition:r": '{"format":99}', revision: "by a newer version" });
  await one.fireAt(start + 2 * MINUTE);
  await assert.rejects(one.begin(), { code: "invalid_option", message: /newer version/ });
  assert.deepEqual((await outcomeOf(one.lane)).fired, [start + MINUTE]);
  await one.lane.redis.hset(cron, { "definition:r": kept?.definition ?? "", revision: "rolled back" });
  await one.fireAt(start + 3 * MINUTE);
  assert.deepEqual(
    (await outcomeOf(one.lane)).fired.map((slot) => (slot - start) / MINUTE),
    [1, 2, 3],
  );
});
