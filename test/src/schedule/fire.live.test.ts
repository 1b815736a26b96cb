import assert from "node:assert/strict";
import { test } from "node:test";
import { fireDue } from "../../../src/schedule/fire.ts";
import { cronRunId } from "../../../streams/ids.ts";
import { testNamespace } from "../../support/servers.ts";
import { outcomeOf, type TestScheduler, testScheduler } from "./rig.ts";

const MINUTE = 60_000;
const HOUR = 3_600_000;
// Instants in the past: a slot that is yet to come is refused by Redis' own clock.
const start = Date.parse("2026-03-01T00:00:00Z");

async function schedulers(count: number, options: Omit<Parameters<typeof testScheduler>[0], "startMs">) {
  const all = await Promise.all(Array.from({ length: count }, () => testScheduler({ startMs: start, ...options })));
  await Promise.all(all.map((one) => one.refresh()));
  return {
    all,
    first: all[0] as TestScheduler,
    async [Symbol.asyncDispose]() {
      for (const one of all) await one[Symbol.asyncDispose]();
    },
  };
}

for (const { locks, count } of [
  { locks: undefined, count: 40 },
  { locks: "none", count: 1_000 },
] as const) {
  const how = locks === "none" ? "without any lock" : "under Redlock";
  test(`five schedulers fire each of ${count} slots once, ${how}`, async () => {
    const namespace = testNamespace();
    const crons = [{ expression: "* * * * *" }];
    await using five = await schedulers(5, { namespace, crons, ...(locks === undefined ? {} : { locks }) });
    const slots = Array.from({ length: count }, (_, index) => start + (index + 1) * MINUTE);
    for (const slot of slots) await Promise.all(five.all.map((one) => one.fireAt(slot + 1)));

    const { fired, entries, events } = await outcomeOf(five.first.schedule().lane);
    assert.deepEqual(fired, slots);
    const ids = slots.map((slotMs) => cronRunId({ namespace, queue: "default", schedule: "sync", slotMs, rerun: 0 }));
    assert.deepEqual(
      entries.map(({ run }) => run),
      ids,
    );
    assert.deepEqual(
      events.flatMap((one) => (one.type === "run.enqueued" ? [one.run] : [])),
      ids,
    );
  });
}

test("a slot that fires is recorded with its run, and the run knows its slot, the one before, and when it expires", async () => {
  const crons = [{ expression: "30 2 * * *", timezone: "Europe/Berlin", version: 3 }];
  await using one = await testScheduler({ namespace: testNamespace(), crons, startMs: start });
  await one.refresh();
  const [first, second] = [Date.parse("2026-03-01T02:30:00+01:00"), Date.parse("2026-03-02T02:30:00+01:00")];
  await one.fireAt(first);
  await one.fireAt(second + 12);
  const { events, entries } = await outcomeOf(one.schedule().lane);
  const run = entries[1]?.run ?? "";
  const [fired, enqueued] = events.filter((event) => "run" in event && event.run === run);
  const common = { v: 1, queue: "default", at: second + 12, run, task: "sync", schedule: "sync", slot: second };
  const { position: _p, ...firedRest } = fired as object & { position?: string };
  const { position: _q, ...enqueuedRest } = enqueued as object & { position?: string };
  assert.deepEqual(firedRest, {
    ...common,
    type: "slot.fired",
    trigger: "schedule",
    lateMs: 12,
    timezone: "Europe/Berlin",
    scheduledLocal: "2026-03-02T02:30:00+01:00",
  });
  const expiresAt = Date.parse("2026-03-03T02:30:00+01:00");
  const rest = { trigger: "schedule", timezone: "Europe/Berlin", previousSlot: first, taskVersion: 3, expiresAt };
  assert.deepEqual(enqueuedRest, { ...common, type: "run.enqueued", ...rest });
  assert.deepEqual(
    { ...entries[1], meta: JSON.parse(entries[1]?.meta ?? "") },
    {
      v: "1",
      run,
      task: "sync",
      attempt: 1,
      key: "",
      expires: expiresAt,
      body: "",
      meta: {
        taskVersion: 3,
        enqueuedAt: second + 12,
        cron: { schedule: "sync", at: second, previous: first, timezone: "Europe/Berlin", trigger: "schedule" },
      },
    },
  );
});

for (const misfire of ["skip", "fire_once", "fire_all"] as const) {
  test(`down for an hour and back, five schedulers together do what \`${misfire}\` says, once, and record the rest`, async () => {
    const crons = [{ expression: "*/10 * * * *", misfire, catchUp: "2h" as const }];
    await using five = await schedulers(5, { namespace: testNamespace(), crons });
    await Promise.all(five.all.map((one) => one.fireAt(start + 10 * MINUTE)));
    const back = start + 73 * MINUTE;
    for (const one of five.all) one.clock.set(back);
    for (const one of five.all) one.schedule().dueAt = back;
    await Promise.all(five.all.map((one) => one.fireAt(back)));

    const { events, fired, entries } = await outcomeOf(five.first.schedule().lane);
    const missed = events.flatMap((one) => (one.type === "slot.missed" ? [one] : []));
    const minutes = (slots: readonly number[]) => slots.map((slot) => (slot - start) / MINUTE);
    const expected = {
      skip: { fired: [10], missed: [[20, 70, 6, "misfire_skip"]] },
      fire_once: { fired: [10, 70], missed: [[20, 60, 5, "misfire_fire_once"]] },
      fire_all: { fired: [10, 20, 30, 40, 50, 60, 70], missed: [] },
    }[misfire];
    assert.deepEqual(minutes(fired), expected.fired);
    assert.deepEqual(
      missed.map(({ slot, until, missedCount, reason }) => [...minutes([slot, until]), missedCount, reason]),
      expected.missed,
    );
    const expiry = { skip: [], fire_once: [start + 80 * MINUTE], fire_all: [0, 0, 0, 0, 0, 0] }[misfire];
    assert.deepEqual(
      entries.slice(1).map(({ expires }) => Number(expires)),
      expiry,
    );
    const triggers = entries.slice(1).map(({ meta }) => JSON.parse(meta as string).cron.trigger);
    assert.ok(triggers.every((trigger) => trigger === "catch_up"));
  });
}

test("what was missed while nothing fired is not counted into `previous`: it is the last slot that made a run", async () => {
  const crons = [{ expression: "*/10 * * * *", misfire: "skip" as const }];
  await using one = await testScheduler({ namespace: testNamespace(), crons, startMs: start });
  await one.refresh();
  for (const minute of [10, 45, 50]) await one.fireAt(start + minute * MINUTE);
  const { entries } = await outcomeOf(one.schedule().lane);
  assert.deepEqual(
    entries.map(({ meta }) => (JSON.parse(meta as string).cron.previous - start) / MINUTE),
    [Number.NaN, 10],
  );
});

test("a schedule stops after as many runs as it may have, counted over all schedulers", async () => {
  const crons = [{ expression: "* * * * *", maxRuns: 7, misfire: "fire_all" as const }];
  await using three = await schedulers(3, { namespace: testNamespace(), crons, locks: "none" });
  for (let minute = 1; minute <= 12; minute += 1) {
    await Promise.all(three.all.map((one) => one.fireAt(start + minute * MINUTE)));
  }
  assert.equal((await outcomeOf(three.first.schedule().lane)).fired.length, 7);
  assert.ok(three.all.every((one) => one.schedule().dueAt === undefined));
});

test("a schedule fires from its start to its end, over all schedulers, and owes nothing outside of them", async () => {
  const [startsAt, endsAt] = [new Date(start + 5 * MINUTE), new Date(start + 8 * MINUTE)];
  const crons = [{ expression: "* * * * *", startsAt, endsAt, misfire: "fire_all" as const }];
  await using three = await schedulers(3, { namespace: testNamespace(), crons, locks: "none" });
  for (let minute = 1; minute <= 12; minute += 1) {
    await Promise.all(three.all.map((one) => one.fireAt(start + minute * MINUTE)));
  }
  const { fired, events } = await outcomeOf(three.first.schedule().lane);
  assert.deepEqual(
    fired.map((slot) => (slot - start) / MINUTE),
    [5, 6, 7, 8],
  );
  assert.ok(events.every(({ type }) => type !== "slot.missed"));
  assert.ok(three.all.every((one) => one.schedule().dueAt === undefined));
});

test("jitter is the same for all schedulers, and lateness is counted from it", async () => {
  const crons = [{ expression: "0 * * * *", jitter: "20m" as const }];
  await using two = await schedulers(2, { namespace: testNamespace(), crons });
  const [a, b] = two.all.map((one) => one.schedule().dueAt as number);
  assert.equal(a, b);
  assert.ok((a as number) > start + HOUR && (a as number) < start + HOUR + 20 * MINUTE);
  await two.first.fireAt((a as number) - 1);
  assert.deepEqual((await outcomeOf(two.first.schedule().lane)).fired, []);
  await two.first.fireAt((a as number) + 5);
  const { events } = await outcomeOf(two.first.schedule().lane);
  assert.deepEqual(
    events.flatMap((one) => (one.type === "slot.fired" ? [[one.slot, one.lateMs]] : [])),
    [[start + HOUR, 5]],
  );
});

test("a lock whose holder has died holds a slot up by a second or two, and not until it lapses", async (t) => {
  await using one = await testScheduler({
    namespace: testNamespace(),
    crons: [{ expression: "* * * * *" }],
    startMs: start,
  });
  await one.refresh();
  const { lane } = one.schedule();
  // Longer than any holder would take it: even then it is only deferred to for a second.
  await lane.redis.set(lane.keys.firing, "a dead scheduler", "PX", 60_000);
  const before = performance.now();
  await one.fireAt(start + MINUTE);
  const tookMs = performance.now() - before;
  t.diagnostic(`took ${Math.round(tookMs)} ms`);
  assert.ok(tookMs < 20_000, `took ${tookMs} ms`); // however slow the machine is: it did not wait for the lock
  assert.deepEqual((await outcomeOf(lane)).fired, [start + MINUTE]);
});

test("a scheduler that is refused the lock leaves the slot to the holder, and goes on from where that one has brought it", async () => {
  await using two = await schedulers(2, { namespace: testNamespace(), crons: [{ expression: "* * * * *" }] });
  const [a, b] = two.all as [TestScheduler, TestScheduler];
  const { lane } = a.schedule();
  await lane.redis.set(lane.keys.firing, a.deps.incarnation, "PX", 1_000);
  const waiting = b.fireAt(start + MINUTE);
  await a.fireAt(start + MINUTE);
  await waiting;
  assert.deepEqual((await outcomeOf(lane)).fired, [start + MINUTE]);
  assert.equal(b.schedule().dueAt, start + 2 * MINUTE);
});

test("the send hook of a middleware is around a slot that fires, and its trace context travels with the run", async () => {
  await using one = await testScheduler({
    namespace: testNamespace(),
    crons: [{ expression: "* * * * *" }],
    startMs: start,
  });
  await one.refresh();
  const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  const sent: unknown[] = [];
  const hook = {
    name: "tracing",
    send(sending: object) {
      sent.push(sending);
      return { carrier: { traceparent } };
    },
  };
  Object.assign(one.deps, { hooks: () => [hook] });
  await one.fireAt(start + MINUTE);
  const { events, entries } = await outcomeOf(one.schedule().lane);
  const slot = { schedule: "sync", slot: start + MINUTE, trigger: "schedule" };
  assert.deepEqual(sent, [{ task: "sync", queue: "default", runs: [entries[0]?.run], cron: slot }]);
  assert.equal(JSON.parse(entries[0]?.meta as string).traceparent, traceparent);
  assert.ok(events.slice(1).every((event) => event.traceparent === traceparent));
});

test("a failover to a server that has lost the last slot fires it again, as the same run, and goes on", async () => {
  const crons = [{ expression: "* * * * *", misfire: "fire_all" as const }];
  await using one = await testScheduler({ namespace: testNamespace(), crons, startMs: start });
  await one.refresh();
  const { lane } = one.schedule();
  const { redis, keys } = lane;
  const kept = [keys.cron, keys.tasks, keys.events];
  await one.fireAt(start + MINUTE);
  const replica = await Promise.all(kept.map((key) => redis.dumpBuffer(key)));
  await one.fireAt(start + 2 * MINUTE);
  const lost = (await outcomeOf(lane)).entries[1]?.run;
  for (const [index, key] of kept.entries()) await redis.restore(key, 0, replica[index] as Buffer, "REPLACE");
  await one.fireAt(start + 3 * MINUTE);
  const { fired, entries } = await outcomeOf(lane);
  assert.deepEqual(fired, [start + MINUTE, start + 2 * MINUTE, start + 3 * MINUTE]);
  assert.equal(entries[1]?.run, lost);
});

test("a scheduler whose clock is five minutes fast fires nothing early, and learns the time", async () => {
  const now = Date.now();
  const crons = [{ expression: "* * * * *" }];
  await using one = await testScheduler({ namespace: testNamespace(), crons, startMs: now - 2 * MINUTE });
  await one.refresh();
  await one.fireAt(now - MINUTE);
  const schedule = one.schedule();
  const fast = now + 5 * MINUTE;
  one.clock.set(fast);
  await fireDue(one.deps, { lane: schedule.lane, schedules: [schedule] });
  const { fired } = await outcomeOf(schedule.lane);
  assert.ok(
    fired.every((slot) => slot <= Date.now()),
    "fired before its time",
  );
  assert.ok((schedule.dueAt as number) <= fast + 10, "it looks again at once");
});
