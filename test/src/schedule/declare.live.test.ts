import assert from "node:assert/strict";
import { test } from "node:test";
import { readDefinition } from "../../../src/schedule/definition.ts";
import { DECLARED_FOR_MS } from "../../../src/schedule/reconcile.ts";
import { declareSchedule, readSchedules } from "../../../streams/cron.ts";
import { testNamespace } from "../../support/servers.ts";
import { type Declared, outcomeOf, type TestScheduler, testScheduler } from "./rig.ts";

const MINUTE = 60_000;
const HOUR = 3_600_000;
// Instants in the past: a slot that is yet to come is refused by Redis' own clock.
const start = Date.parse("2026-03-01T00:00:00Z");

/** A scheduler of one version of the application, started at an instant. */
async function started(namespace: string, version: Declared, startMs: number): Promise<TestScheduler> {
  const scheduler = await testScheduler({ namespace, crons: [version], startMs });
  await scheduler.refresh();
  return scheduler;
}

async function keptOf(scheduler: TestScheduler) {
  const [kept] = await readSchedules(scheduler.schedule().lane, ["sync"]);
  return { ...kept, read: readDefinition(kept?.definition) };
}

async function upsertsOf(scheduler: TestScheduler): Promise<string[]> {
  const { events } = await outcomeOf(scheduler.schedule().lane);
  return events.flatMap((one) => (one.type === "schedule.upserted" ? [one.expression] : []));
}

test("a redeploy of the same content writes nothing, and keeps the last slot", async () => {
  const namespace = testNamespace();
  await using before = await started(namespace, { expression: "*/5 * * * *" }, start);
  await before.fireAt(start + 5 * MINUTE);
  const kept = await keptOf(before);
  await using after = await started(namespace, { expression: "*/5 * * * *" }, start + 7 * MINUTE);
  const { seenAt: _, ...same } = await keptOf(after);
  const { seenAt: __, ...was } = kept;
  assert.deepEqual(same, was);
  assert.deepEqual(await upsertsOf(after), ["*/5 * * * *"]);
  assert.equal(after.schedule().dueAt, start + 10 * MINUTE);
});

test("of schedulers that start at once, one declares", async () => {
  const namespace = testNamespace();
  const all = await Promise.all(
    Array.from({ length: 5 }, () => started(namespace, { expression: "0 * * * *" }, start)),
  );
  assert.deepEqual(await upsertsOf(all[0] as TestScheduler), ["0 * * * *"]);
  assert.deepEqual(
    all.map((one) => one.schedule().dueAt),
    Array.from({ length: 5 }, () => start + HOUR),
  );
  for (const one of all) await one[Symbol.asyncDispose]();
});

test("a changed expression starts from the change: no slot of the new one is missed before it", async () => {
  const namespace = testNamespace();
  await using before = await started(namespace, { expression: "0 0 * * *" }, start - HOUR);
  await before.fireAt(start);
  const deployedAt = start + 15 * HOUR;
  await using after = await started(namespace, { expression: "*/5 * * * *", misfire: "fire_all" }, deployedAt);
  await after.fireAt(deployedAt);
  assert.equal((await keptOf(after)).read?.changedAt, deployedAt);
  await after.fireAt(deployedAt + 5 * MINUTE);
  const { fired, events } = await outcomeOf(after.schedule().lane);
  assert.deepEqual(fired, [start, deployedAt + 5 * MINUTE]);
  assert.ok(events.every(({ type }) => type !== "slot.missed"));
  assert.deepEqual(await upsertsOf(after), ["0 0 * * *", "*/5 * * * *"]);
});

test("what the old expression owes when it is changed is settled first, by its own policy", async () => {
  const namespace = testNamespace();
  const before = await started(namespace, { expression: "0 * * * *" }, start - 90 * MINUTE);
  await before[Symbol.asyncDispose]();
  await using after = await started(namespace, { expression: "*/7 * * * *" }, start + 2 * MINUTE);
  const { fired, events } = await outcomeOf(after.schedule().lane);
  assert.deepEqual(fired, [start]);
  assert.deepEqual(
    events.flatMap((one) => (one.type === "slot.missed" ? [one.slot, one.until] : [])),
    [start - HOUR, start - HOUR],
  );
  assert.equal(after.schedule().dueAt, start + 7 * MINUTE);
});

test("a changed policy is written, and moves no slot", async () => {
  const namespace = testNamespace();
  await using before = await started(namespace, { expression: "0 * * * *" }, start);
  const slower = { expression: "0 * * * *", lockTtl: "10m" as const, misfire: "fire_all" as const };
  await using after = await started(namespace, slower, start + 30 * MINUTE);
  const { read } = await keptOf(after);
  assert.deepEqual([read?.changedAt, read?.content.lockTtlMs, read?.content.misfire], [start, 600_000, "fire_all"]);
  assert.equal((await upsertsOf(before)).length, 2);
});

test("a scheduler of the old version fires no slot of the old expression once the new one is declared", async () => {
  const namespace = testNamespace();
  await using old = await started(namespace, { expression: "* * * * *" }, start);
  await using _new = await started(namespace, { expression: "*/10 * * * *" }, start + 30_000);
  await old.fireAt(start + MINUTE);
  assert.deepEqual((await outcomeOf(old.schedule().lane)).fired, []);
  // It has learnt of the change by being refused, and fires what holds now.
  assert.equal(old.schedule().dueAt, start + 10 * MINUTE);
  await old.fireAt(start + 10 * MINUTE);
  assert.deepEqual((await outcomeOf(old.schedule().lane)).fired, [start + 10 * MINUTE]);
});

test("two versions side by side do not take turns, though the old one restarts; each slot fires once", async () => {
  const namespace = testNamespace();
  const [v1, v2] = [{ expression: "*/2 * * * *" }, { expression: "*/3 * * * *" }];
  const running = [await started(namespace, v1, start), await started(namespace, v1, start)];
  for (let at = start; at < start + HOUR; at += 20_000) {
    const minutes = (at - start) / MINUTE;
    if (minutes === 10) running.push(await started(namespace, v2, at));
    // One after the other, schedulers of the old version crash and are started again.
    if (minutes > 10 && minutes % 4 === 0) {
      await running.shift()?.[Symbol.asyncDispose]();
      running.unshift(await started(namespace, v1, at));
    }
    for (const one of running) {
      one.clock.set(at);
      await one.refresh();
    }
    await Promise.all(running.map((one) => one.fireAt(at)));
  }
  const last = running.at(-1) as TestScheduler;
  assert.deepEqual(await upsertsOf(last), ["*/2 * * * *", "*/3 * * * *"]);
  const { fired } = await outcomeOf(last.schedule().lane);
  const expected = Array.from({ length: 59 }, (_, index) => index + 1).filter((minute) =>
    minute <= 10 ? minute % 2 === 0 : minute % 3 === 0,
  );
  assert.deepEqual(
    fired.map((slot) => (slot - start) / MINUTE),
    expected,
  );
  for (const one of running) await one[Symbol.asyncDispose]();
});

test("a rollback takes its place once no scheduler has declared the newer version for a minute", async () => {
  const namespace = testNamespace();
  const first = await started(namespace, { expression: "*/2 * * * *" }, start);
  await first[Symbol.asyncDispose]();
  const newer = await started(namespace, { expression: "*/3 * * * *" }, start + MINUTE);
  await newer[Symbol.asyncDispose]();
  await using back = await started(namespace, { expression: "*/2 * * * *" }, start + 90_000);
  assert.equal(back.schedule().dueAt, start + 3 * MINUTE);
  back.clock.set(start + MINUTE + DECLARED_FOR_MS);
  await back.refresh();
  assert.deepEqual(await upsertsOf(back), ["*/2 * * * *", "*/3 * * * *", "*/2 * * * *"]);
  assert.equal(back.schedule().dueAt, start + 4 * MINUTE);
});

test("a task that moves to another queue takes its schedule along, and waits while the old version still fires it", async () => {
  const namespace = testNamespace();
  const old = await started(namespace, { expression: "* * * * *", queue: "first" }, start);
  const lane = old.schedule().lane;
  await using next = await started(namespace, { expression: "* * * * *", queue: "second" }, start + 30_000);
  await Promise.all([old.fireAt(start + MINUTE), next.fireAt(start + MINUTE)]);
  await old[Symbol.asyncDispose]();
  assert.equal(next.schedule().dueAt, undefined);
  const takenOverAt = start + DECLARED_FOR_MS + 61_000;
  next.clock.set(takenOverAt);
  await next.refresh();
  await next.fireAt(takenOverAt);

  const before = await outcomeOf({ ...lane, redis: next.opened.redis });
  const after = await outcomeOf(next.schedule().lane);
  assert.deepEqual([before.fired, after.fired], [[start + MINUTE], [start + 2 * MINUTE]]);
  assert.equal(JSON.parse(after.entries[0]?.meta as string).cron.previous, start + MINUTE);
  assert.deepEqual(await next.opened.redis.hkeys(lane.keys.cron), ["revision"]);
});

test("a definition of a newer format is left to schedulers that can read it, until there are none", async () => {
  const namespace = testNamespace();
  await using one = await started(namespace, { expression: "* * * * *" }, start);
  const { definition } = await keptOf(one);
  const { lane } = one.schedule();
  const newer = JSON.stringify({ format: 99, schedule: "in some other shape" });
  await declareSchedule(lane, { schedule: "sync", known: definition, definition: newer, events: [] });
  await one.refresh();
  await one.fireAt(start + MINUTE);
  assert.deepEqual((await outcomeOf(lane)).fired, []);
  one.clock.set(start + 2 * DECLARED_FOR_MS);
  await one.refresh();
  assert.equal((await keptOf(one)).read?.hash, readDefinition(definition)?.hash);
});

test("a schedule that was paused fires nothing, and a redeploy leaves it paused", async () => {
  const namespace = testNamespace();
  await using one = await started(namespace, { expression: "* * * * *" }, start);
  const { definition, read } = await keptOf(one);
  const { lane } = one.schedule();
  const paused = JSON.stringify({ ...read, pausedAt: start });
  await declareSchedule(lane, { schedule: "sync", known: definition, definition: paused, events: [] });
  await one.fireAt(start + MINUTE);
  await using _redeployed = await started(namespace, { expression: "*/2 * * * *" }, start + MINUTE);
  await one.refresh();
  await one.fireAt(start + 10 * MINUTE);
  assert.deepEqual((await outcomeOf(lane)).fired, []);
  assert.equal((await keptOf(one)).read?.pausedAt, start);
});

test("while a scheduler lives its schedules are known to be declared", async () => {
  const namespace = testNamespace();
  await using one = await started(namespace, { expression: "0 * * * *" }, start);
  for (let at = start; at <= start + 5 * MINUTE; at += 20_000) {
    one.clock.set(at);
    await one.refresh();
    const { seenAt = 0 } = await keptOf(one);
    assert.ok(at - seenAt <= 20_000);
  }
});
