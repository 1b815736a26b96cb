import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type NextSlots, slotsOf } from "../../../src/define/pattern.ts";
import {
  decide,
  type MisfireRules,
  MOST_AT_ONCE,
  MOST_COUNTED,
  ON_TIME_MS,
  type Situation,
} from "../../../src/schedule/misfire.ts";
import { dueAtOf } from "../../../src/schedule/slots.ts";

const MINUTE = 60_000;
const HOUR = 3_600_000;
const rules: MisfireRules = {
  misfire: "fire_once",
  catchUpMs: HOUR,
  jitterMs: 0,
  startsAtMs: undefined,
  endsAtMs: undefined,
  maxRuns: undefined,
};

function situation(expression: string, changes: Partial<Situation> = {}): Situation {
  const slots = slotsOf({ expression, timezone: "UTC" });
  const standing = { last: undefined, fired: undefined, firedCount: 0 };
  return { rules, standing, changedAt: 0, slots, dueAt: (slot) => slot, ...changes };
}

function at(text: string): number {
  return Date.parse(`2026-03-01T${text}:00Z`);
}

function after(last: number): Situation["standing"] {
  return { last, fired: last, firedCount: 1 };
}

test("a slot that has just come fires, and the next is waited for", () => {
  const now = at("12:00") + 3;
  assert.deepEqual(decide(now, situation("0 * * * *", { standing: after(at("11:00")) })), {
    missed: [],
    fire: [{ slot: at("12:00"), trigger: "schedule" }],
    nextDueAt: at("13:00"),
  });
});

test("a new schedule has missed nothing: its first slot is the one after it was declared", () => {
  const declared = situation("0 * * * *", { changedAt: at("11:30") });
  assert.deepEqual(decide(at("11:30"), declared), { missed: [], fire: [], nextDueAt: at("12:00") });
});

test("a changed expression makes no misses of slots that it never had", () => {
  const changed = situation("*/5 * * * *", { standing: after(at("00:00")), changedAt: at("15:00") });
  assert.deepEqual(decide(at("15:00") + 1, changed), { missed: [], fire: [], nextDueAt: at("15:05") });
});

const hourDown = (misfire: MisfireRules["misfire"]) =>
  decide(
    at("12:03") + 1,
    situation("*/10 * * * *", { standing: after(at("11:00")), rules: { ...rules, misfire, catchUpMs: 2 * HOUR } }),
  );

test("after an hour down, `skip` fires nothing and records the range", () => {
  assert.deepEqual(hourDown("skip"), {
    missed: [{ slot: at("11:10"), until: at("12:00"), count: 6, isAtLeast: false, reason: "misfire_skip" }],
    fire: [],
    nextDueAt: at("12:10"),
  });
});

test("after an hour down, `fire_once` fires the newest slot and records the others", () => {
  assert.deepEqual(hourDown("fire_once"), {
    missed: [{ slot: at("11:10"), until: at("11:50"), count: 5, isAtLeast: false, reason: "misfire_fire_once" }],
    fire: [{ slot: at("12:00"), trigger: "catch_up" }],
    nextDueAt: at("12:10"),
  });
});

test("after an hour down, `fire_all` fires each slot, oldest first", () => {
  const plan = hourDown("fire_all");
  assert.deepEqual(
    plan.fire.map(({ slot }) => slot),
    [at("11:10"), at("11:20"), at("11:30"), at("11:40"), at("11:50"), at("12:00")],
  );
  assert.deepEqual(plan.missed, []);
});

test("what is older than the catch-up window is missed under every policy, and its slot on time fires under every policy", () => {
  for (const misfire of ["skip", "fire_once", "fire_all"] as const) {
    const late = situation("0 * * * *", {
      standing: after(at("03:00")),
      rules: { ...rules, misfire, catchUpMs: 10 * MINUTE },
    });
    const plan = decide(at("09:00") + 5, late);
    assert.deepEqual(
      plan.missed,
      [{ slot: at("04:00"), until: at("08:00"), count: 5, isAtLeast: false, reason: "window" }],
      misfire,
    );
    assert.deepEqual(plan.fire, [{ slot: at("09:00"), trigger: "schedule" }], misfire);
  }
});

test("after a year without a scheduler the decision is still made, within a moment", (t) => {
  for (const expression of ["* * * * *", "*/7 3-5 * * 1", "0 3 29 2 *"]) {
    const year = situation(expression, {
      slots: slotsOf({ expression, timezone: "Europe/Berlin" }),
      standing: after(at("00:00") - 365 * 24 * HOUR),
      rules: { ...rules, misfire: "fire_all" },
    });
    const startedAt = performance.now();
    const plan = decide(at("00:00") + 1, year);
    t.diagnostic(`${expression} took ${Math.round(performance.now() - startedAt)} ms`);
    if (expression !== "* * * * *") continue;
    assert.equal(plan.fire.length, 60);
    const [window] = plan.missed;
    assert.deepEqual([window?.count, window?.isAtLeast, window?.until], [MOST_COUNTED, true, at("00:00") - HOUR]);
  }
});

test("no more than a thousand slots fire at once: the oldest are dropped, and recorded", () => {
  const day = situation("* * * * *", {
    standing: after(at("00:00") - 24 * HOUR),
    rules: { ...rules, misfire: "fire_all", catchUpMs: 48 * HOUR },
  });
  const plan = decide(at("00:00"), day);
  assert.equal(plan.fire.length, MOST_AT_ONCE);
  assert.equal(plan.fire.at(-1)?.slot, at("00:00"));
  assert.deepEqual(plan.missed, [
    {
      slot: at("00:00") - 24 * HOUR + MINUTE,
      until: (plan.fire[0]?.slot as number) - MINUTE,
      count: 24 * 60 - MOST_AT_ONCE,
      isAtLeast: false,
      reason: "cap",
    },
  ]);
});

test("a clock that went back fires nothing again", () => {
  const plan = decide(at("11:20"), situation("*/10 * * * *", { standing: after(at("12:00")) }));
  assert.deepEqual(plan, { missed: [], fire: [], nextDueAt: at("12:10") });
});

test("a schedule fires from its start to its end, both included, and not after its last run", () => {
  const bounded = { ...rules, misfire: "fire_all" as const, startsAtMs: at("10:00"), endsAtMs: at("12:00") };
  const plan = (now: number, changes: Partial<Situation> = {}) =>
    decide(now, situation("0 * * * *", { rules: { ...bounded, catchUpMs: 24 * HOUR }, ...changes }));
  assert.deepEqual(plan(at("08:30")), { missed: [], fire: [], nextDueAt: at("10:00") });
  assert.deepEqual(
    plan(at("15:00")).fire.map(({ slot }) => slot),
    [at("10:00"), at("11:00"), at("12:00")],
  );
  assert.equal(plan(at("15:00")).nextDueAt, undefined);
  const twoMore = { rules: { ...bounded, maxRuns: 3, catchUpMs: 24 * HOUR }, standing: after(at("09:00")) };
  assert.deepEqual(
    plan(at("15:00"), twoMore).fire.map(({ slot }) => slot),
    [at("10:00"), at("11:00")],
  );
  assert.equal(plan(at("15:00"), twoMore).nextDueAt, undefined);
  const done = { rules: { ...bounded, maxRuns: 1 }, standing: after(at("09:00")) };
  assert.deepEqual(plan(at("15:00"), done), { missed: [], fire: [], nextDueAt: undefined });
});

test("jitter holds a slot back, keeps the order, and is the same everywhere", () => {
  const slots = slotsOf({ expression: "* * * * *", timezone: "UTC" });
  const dueAt = dueAtOf("sync", 10 * MINUTE, slots);
  const same = dueAtOf("sync", 10 * MINUTE, slots);
  const spread = new Set<number>();
  for (let slot = 0; slot < 100 * MINUTE; slot += MINUTE) {
    assert.ok(dueAt(slot) >= slot && dueAt(slot) < slot + MINUTE);
    assert.equal(dueAt(slot), same(slot));
    spread.add(dueAt(slot) - slot);
  }
  assert.ok(spread.size > 90);
  const jittered = situation("* * * * *", { dueAt, rules: { ...rules, jitterMs: 10 * MINUTE } });
  const due = dueAt(at("12:01"));
  const standing = after(at("12:00"));
  assert.deepEqual(decide(due - 1, { ...jittered, standing }), { missed: [], fire: [], nextDueAt: due });
  assert.deepEqual(decide(due, { ...jittered, standing }).fire, [{ slot: at("12:01"), trigger: "schedule" }]);
});

const instantsIn = (min: number, max: number) =>
  fc.tuple(fc.integer({ min, max }), fc.constantFrom(0, 0, 29_500, 59_999)).map(([minute, ms]) => minute * MINUTE + ms);
const rarely = <T>(arbitrary: fc.Arbitrary<T>) =>
  fc.oneof({ weight: 4, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary });
const situations = fc.record({
  // From a slot a minute to one an hour: each minute is one with this chance, in hundredths.
  minutes: fc
    .tuple(
      fc.constantFrom(2, 20, 60, 100),
      fc.array(fc.integer({ min: 0, max: 99 }), { minLength: 250, maxLength: 250 }),
    )
    .map(([chance, dice]) => dice.flatMap((die, minute) => (die < chance ? [minute + 1] : []))),
  now: instantsIn(100, 250),
  last: fc.option(instantsIn(0, 240), { nil: undefined }),
  changedAt: fc.oneof(fc.constant(0), instantsIn(0, 240)),
  jitterMs: fc.constantFrom(0, 0, 45_000, 10 * MINUTE),
  misfire: fc.constantFrom("skip" as const, "fire_once" as const, "fire_all" as const),
  catchUpMs: fc.constantFrom(0, 5 * MINUTE, HOUR, 24 * HOUR),
  startsAtMs: rarely(instantsIn(0, 250)),
  endsAtMs: rarely(instantsIn(0, 250)),
  maxRuns: rarely(fc.integer({ min: 1, max: 10 })),
  firedCount: fc.integer({ min: 0, max: 4 }),
});

test("every slot either fires or is missed, as a plain walk over all of them says", () => {
  fc.assert(
    fc.property(situations, (given) => {
      const all = given.minutes.map((minute) => minute * MINUTE).sort((a, b) => a - b);
      const slots: NextSlots = (after, count) => all.filter((slot) => slot > after).slice(0, count);
      const dueAt = dueAtOf("s", given.jitterMs, slots);
      const standing = { last: given.last, fired: undefined, firedCount: given.firedCount };
      const plan = decide(given.now, {
        rules: given,
        standing,
        changedAt: given.changedAt,
        slots,
        dueAt,
      });
      const expected = walk(all, dueAt, given);
      assert.deepEqual(
        plan.fire.map(({ slot, trigger }) => `${slot} ${trigger}`),
        expected.fire,
      );
      const missed = plan.missed.flatMap(({ slot, until, count }) => {
        const range = all.filter((one) => one >= slot && one <= until);
        assert.equal(range.length, count);
        return range;
      });
      assert.deepEqual(missed, expected.missed);
      assert.equal(plan.nextDueAt, expected.nextDueAt);
    }),
    { numRuns: 2_000 },
  );
});

type Given = typeof situations extends fc.Arbitrary<infer T> ? T : never;

/** The rules, said once more and slowly. */
function walk(all: readonly number[], dueAt: (slot: number) => number, given: Given) {
  const runsLeft = (given.maxRuns ?? 1_000) - given.firedCount;
  const valid = all.filter(
    (slot) =>
      slot > (given.last ?? -1) &&
      slot > given.changedAt &&
      slot >= (given.startsAtMs ?? 0) &&
      slot <= (given.endsAtMs ?? Number.POSITIVE_INFINITY),
  );
  if (runsLeft <= 0) return { fire: [], missed: [], nextDueAt: undefined };
  const passed = valid.filter((slot) => dueAt(slot) <= given.now);
  const inWindow = passed.filter((slot) => slot > given.now - Math.max(given.catchUpMs, ON_TIME_MS) - given.jitterMs);
  const isOnTime = (slot: number) => given.now - dueAt(slot) < ON_TIME_MS;
  const onTime = inWindow.filter(isOnTime);
  const firing = {
    skip: onTime,
    fire_once: onTime.length > 0 ? onTime : inWindow.slice(-1),
    fire_all: inWindow,
  }[given.misfire].slice(0, runsLeft);
  const isCatchingUp = given.misfire === "fire_all" && inWindow.length > 1;
  const missed = passed.filter((slot) => firing.length === 0 || slot < (firing[0] as number));
  const next = valid.find((slot) => slot > Math.max(firing.at(-1) ?? -1, missed.at(-1) ?? -1));
  return {
    fire: firing.map((slot) => `${slot} ${isOnTime(slot) && !isCatchingUp ? "schedule" : "catch_up"}`),
    missed,
    nextDueAt: next === undefined || firing.length >= runsLeft ? undefined : dueAt(next),
  };
}

test("what passed during a pause goes by the policy, and what is dropped of it is missed as paused", () => {
  const pause = { from: at("10:00"), until: at("12:00") };
  const decided = (misfire: MisfireRules["misfire"]) => {
    const paused = situation("*/30 * * * *", { standing: after(at("09:00")), pause, rules: { ...rules, misfire } });
    const { missed, fire } = decide(at("12:00") + 30_000, paused);
    return [
      ...missed.map(({ slot, until, count, reason }) => [text(slot), text(until), count, reason]),
      ...fire.map(({ slot, trigger }) => [text(slot), trigger]),
    ];
  };
  assert.deepEqual(decided("skip"), [
    ["09:30", "10:00", 2, "window"],
    ["10:30", "11:30", 3, "paused"],
    ["12:00", "schedule"],
  ]);
  assert.deepEqual(decided("fire_once"), [
    ["09:30", "10:00", 2, "window"],
    ["10:30", "11:30", 3, "paused"],
    ["12:00", "schedule"],
  ]);
  assert.deepEqual(decided("fire_all"), [
    ["09:30", "10:00", 2, "window"],
    ["10:30", "11:00", 2, "paused"],
    ["11:30", "catch_up"],
    ["12:00", "catch_up"],
  ]);
});

test("however pauses, windows and policies meet, each slot is fired or missed, and neither twice", () => {
  const hours = fc.integer({ min: 0, max: 30 });
  fc.assert(
    fc.property(
      hours,
      hours,
      hours,
      fc.constantFrom("skip", "fire_once", "fire_all" as const),
      (from, long, ago, misfire) => {
        const now = at("12:00") + 90_000;
        const pause = { from: now - (from + long) * HOUR, until: now - long * HOUR };
        const last = at("12:00") - ago * HOUR;
        const given = situation("*/20 * * * *", { standing: after(last), pause, rules: { ...rules, misfire } });
        const { missed, fire } = decide(now, given);
        const told = missed.flatMap(({ slot, until, count }) => {
          const all = given.slots(slot - 1, count);
          assert.equal(all.at(-1), until);
          return all;
        });
        const all = [...told, ...fire.map(({ slot }) => slot)];
        assert.deepEqual(
          all,
          given.slots(last, 1_000).filter((slot) => slot <= now),
        );
        for (const { slot, until, reason } of missed) {
          const isInside = slot > pause.from && until < pause.until;
          assert.equal(reason === "paused", isInside, `${reason} ${isInside}`);
        }
      },
    ),
    { numRuns: 200 },
  );
});

function text(slot: number): string {
  return new Date(slot).toISOString().slice(11, 16);
}
