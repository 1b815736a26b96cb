import assert from "node:assert/strict";
import { test } from "node:test";
import { engineOf } from "../../../src/engine.ts";
import { type Definition, readDefinition, writeDefinition } from "../../../src/schedule/definition.ts";
import { readSchedules } from "../../../streams/cron.ts";
import { laneKeys } from "../../../streams/keys.ts";
import { eventually } from "../../support/servers.ts";
import { openWork, type TestWork } from "../../support/work.ts";
import { killedAt } from "./killed-at.ts";
import { outcomeOf, testScheduler } from "./rig.ts";

const MINUTE = 60_000;
const start = Date.parse("2026-03-01T00:00:00Z");
const minute = (count: number) => new Date(start + count * MINUTE).toISOString();

/** Has the schedule be as old as that when the present minute began; gives that. Hours are not waited for. */
async function backdate({ broker, redis, keys }: TestWork, ageMs: number): Promise<number> {
  const [kept] = await readSchedules(await engineOf(broker).lane("default"), ["s"]);
  const now = Math.floor(Date.now() / MINUTE) * MINUTE;
  const made = { ...readDefinition(kept?.definition), changedAt: now - ageMs, createdAt: now - ageMs };
  await redis.hset(keys.cron, "definition:s", writeDefinition(made as Definition));
  return now;
}

/** An application with a schedule. */
async function application(policies: { readonly lockTtl?: "500ms" } = {}) {
  const work = await openWork();
  const task = work.broker.task({ name: "sync", run() {} });
  await work.broker.schedules.upsert("s", { task, cron: "* * * * *", misfire: "fire_all", ...policies });
  return { work, schedules: work.broker.schedules };
}

for (const step of ["before:1:fire", "after:1:fire"]) {
  test(`a slot whose scheduler is killed ${step.replaceAll(":", " ")}, with the lock in hand, fires once, and soon`, async (t) => {
    const { work } = await application();
    await using _work = work;
    const now = await backdate(work, MINUTE);
    await killedAt(step, "schedule", work);
    const hasLock = (await work.redis.exists(work.keys.firing)) === 1; // of a second: on a machine that is busy it may be over by now
    t.diagnostic(hasLock ? "its lock is there" : "its lock is over");
    await using other = await testScheduler({ namespace: work.namespace, crons: [], startMs: now });
    await other.refresh();
    const begun = performance.now();
    await other.fireAt(now);
    t.diagnostic(`took ${Math.round(performance.now() - begun)} ms`);
    const { fired, entries } = await outcomeOf(other.schedule("s").lane);
    assert.deepEqual(fired, [now]);
    assert.equal(entries.length, 1);
  });
}

test("a backfill that is killed between its calls, again and again, is brought to its end by another: each slot once", async () => {
  const { work, schedules } = await application();
  await using _work = work;
  const range = [minute(0), minute(1_199)] as const; // three calls
  for (const step of ["before:1:backfill", "after:1:backfill", "before:1:next"]) {
    await killedAt(step, "backfill", work, ...range);
  }
  const lane = await engineOf(work.broker).lane("default");
  const slotsOf = async () => {
    const { entries } = await outcomeOf({ ...lane, redis: work.redis });
    return entries.map(({ meta }) => (JSON.parse(meta as string).cron.at - start) / MINUTE).sort((a, b) => a - b);
  };
  assert.equal((await slotsOf()).length, 1_200, "two calls, and one that was made before its process was killed");
  const [from, until] = range.map((at) => new Date(at)) as [Date, Date];
  assert.deepEqual(await schedules.backfill("s", { from, until }), []);
  assert.deepEqual(
    await slotsOf(),
    Array.from({ length: 1_200 }, (_, index) => index),
  );
});

for (const step of ["before:1:declare", "after:1:declare", "after:2:declare"]) {
  test(`a schedule whose move to another queue is killed ${step.replaceAll(":", " ")} fires each slot once, and arrives with the next try`, async () => {
    const { work } = await application();
    await using _work = work;
    const now = await backdate(work, 30 * MINUTE);
    await using scheduler = await testScheduler({ namespace: work.namespace, crons: [], startMs: now - 30 * MINUTE });
    const fireAt = async (at: number) => {
      scheduler.clock.set(at);
      await scheduler.refresh();
      await scheduler.fireAt(at);
    };
    await fireAt(now - 20 * MINUTE);
    await killedAt(step, "move", work);
    await fireAt(now - 10 * MINUTE);
    const other = work.another();
    const moved = other.task({ name: "sync", queue: "elsewhere", run() {} });
    await other.schedules.upsert("s", { task: moved, cron: "* * * * *", misfire: "fire_all" });
    await fireAt(now);

    assert.deepEqual(await work.redis.hkeys(work.keys.cron), ["revision"]);
    const lane = await engineOf(work.broker).lane("default");
    const there = { ...lane, redis: work.redis, keys: laneKeys(work.namespace, "elsewhere") };
    const [before, after] = [await outcomeOf({ ...lane, redis: work.redis }), await outcomeOf(there)];
    const fired = [...before.fired, ...after.fired];
    assert.deepEqual(
      fired.slice(0, 30).map((slot) => (slot - now) / MINUTE),
      Array.from({ length: 30 }, (_, index) => index - 29),
    );
    assert.equal(new Set(fired).size, fired.length);
    assert.equal(before.entries.length + after.entries.length, fired.length);
  });
}

const MOVE = { expression: "* * * * *", name: "s", misfire: "fire_all" } as const;
for (const [step, deed] of [
  ["before:2:declare", "move"], // it has been stopped where it was
  ["after:2:declare", "move"], // and goes on where it is to be
  ["before:1:declare", "declare"],
  ["after:1:declare", "declare"], // it goes on where it is to be, and lies where it was
] as const) {
  test(`a ${deed === "move" ? "schedule" : "cron()"} whose move to another queue is killed ${step.replaceAll(":", " ")} is brought there by schedulers, and fires each slot once`, async () => {
    await using work = await openWork();
    const task = work.broker.task({ name: "sync", run() {} });
    const now = Math.floor(Date.now() / MINUTE) * MINUTE;
    const begunAt = now - 30 * MINUTE;
    const { namespace } = work;
    const isCron = deed === "declare";
    if (!isCron) await work.broker.schedules.upsert("s", { task, cron: "* * * * *", misfire: "fire_all" });
    if (!isCron) await backdate(work, 30 * MINUTE);
    await using before = await testScheduler({ namespace, crons: isCron ? [MOVE] : [], startMs: begunAt });
    await before.refresh();
    await before.fireAt(now - 20 * MINUTE);
    await killedAt(step, deed, work);

    const crons = isCron ? [{ ...MOVE, queue: "elsewhere" }] : [];
    // When no move is on its way any more, and nobody declares it where it was.
    await using healing = await testScheduler({ namespace, crons, startMs: Date.now() + MINUTE });
    await healing.refresh();
    assert.deepEqual(await work.redis.hkeys(work.keys.cron), ["revision"]);
    await using firing = await testScheduler({ namespace, crons, startMs: now });
    await firing.refresh();
    await firing.fireAt(now);
    const lane = await engineOf(work.broker).lane("default");
    const there = { ...lane, redis: work.redis, keys: laneKeys(namespace, "elsewhere") };
    const fired = [...(await outcomeOf({ ...lane, redis: work.redis })).fired, ...(await outcomeOf(there)).fired];
    assert.deepEqual(
      fired.map((slot) => (slot - now) / MINUTE).filter((slot) => slot <= 0),
      Array.from({ length: 30 }, (_, index) => index - 29),
    );
  });
}

test("a schedule that is removed after its move was killed half-way is not brought back", async () => {
  const { work, schedules } = await application();
  await using _work = work;
  await killedAt("after:2:declare", "move", work);
  await schedules.remove("s");
  await using scheduler = await testScheduler({
    namespace: work.namespace,
    crons: [],
    startMs: Date.now() + MINUTE,
  });
  await scheduler.refresh();
  assert.deepEqual(await schedules.list(), []);
});

for (const step of ["before:2:next", "after:2:next"]) {
  test(`owed slots whose worker is killed ${step.replaceAll(":", " ")}, as it hands over to the third, each run once`, async () => {
    const { work, schedules } = await application({ lockTtl: "500ms" });
    await using _work = work;
    const runs = await schedules.backfill("s", { from: new Date(minute(0)), until: new Date(minute(5)) });
    await killedAt(step, "work", work);
    const { scheduled } = work.keys;
    const waiting = await work.redis.zrange(scheduled, "0", "-1");
    assert.equal(waiting.length, step.startsWith("before") ? 4 : 3);
    // Told of their turn, the others follow. Whom nobody tells looks by itself once the dead one's lock has ended, after a minute, which is not waited for.
    await eventually(async () => (await work.redis.exists(work.keys.lock("s"))) === 0);
    if (step.startsWith("before")) await work.redis.zadd(scheduled, ...waiting.flatMap((run, index) => [index, run]));
    work.work();
    const ids = runs.map(({ id }) => id);
    const endings = await work.ledger.ended(ids, 60_000);
    assert.ok(endings.every(({ type }) => type === "run.succeeded"));
    const begun = (await work.ledger.events()).flatMap((one) => (one.type === "run.started" ? [one.run] : []));
    assert.deepEqual([...begun].sort(), [...ids].sort());
  });
}
