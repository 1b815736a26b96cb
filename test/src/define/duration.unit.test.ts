import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  type Duration,
  duration,
  durationMs,
  LONGEST_MS,
  readDuration,
  secondsMs,
} from "../../../src/define/duration.ts";
import { isTasktrailError } from "../../../src/errors.ts";

const unitMs = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

function problemOf(value: unknown): string {
  const reading = readDuration(value);
  assert.ok("problem" in reading, `${String(value)} was read`);
  return reading.problem;
}

test("a duration is a number and a unit", () => {
  const lengths = {
    "250ms": 250,
    "30s": 30_000,
    "5m": 300_000,
    "6h": 21_600_000,
    "7d": 604_800_000,
    "0s": 0,
    "1.5s": 1_500,
  };
  for (const [text, ms] of Object.entries(lengths)) assert.deepEqual(readDuration(text), { ms });
});

test("any amount from zero to 365 days is read, in any unit", () => {
  fc.assert(
    fc.property(
      fc.constantFrom("ms", "s", "m", "h", "d"),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (unit, share) => {
        const amount = (share * LONGEST_MS) / unitMs[unit];
        assert.deepEqual(readDuration(`${amount}${unit}`), { ms: Math.round(amount * unitMs[unit]) });
      },
    ),
  );
});

test("numbers are taken as JavaScript writes them, since users build durations from formulas", () => {
  assert.deepEqual(readDuration(`${2 ** 12}s`), { ms: 4_096_000 });
  assert.deepEqual(readDuration("1e3ms"), { ms: 1_000 });
  assert.deepEqual(readDuration("5 s"), { ms: 5_000 });
  assert.match(problemOf(`${2 ** 70}s`), /longer than 365 days/);
});

test("whatever is given, the answer is a length or a problem", () => {
  fc.assert(
    fc.property(fc.anything(), (value) => {
      const reading = readDuration(value);
      if ("problem" in reading) return reading.problem.length > 0;
      return Number.isInteger(reading.ms) && reading.ms >= 0 && reading.ms <= LONGEST_MS;
    }),
  );
});

test("what is meant is said, where it can be guessed", () => {
  assert.match(problemOf("30 seconds"), /did you mean "30s"\?/);
  assert.match(problemOf("10min"), /did you mean "10m"\?/);
  assert.match(problemOf("5M"), /did you mean "5m"\?/);
  assert.match(problemOf("300"), /its unit is missing, as in "300s"/);
  assert.match(problemOf(300), /300 has no unit: write "300ms", "300s"/);
});

test("what is no length is refused", () => {
  assert.match(problemOf("-5m"), /negative/);
  assert.match(problemOf("366d"), /longer than 365 days/);
  assert.match(problemOf("Infinitys"), /longer than 365 days/);
  for (const text of ["", "s", " s", "abc", "NaNs", "5x", "1h30m", "constructor"]) {
    assert.match(problemOf(text), /is no duration/, text);
  }
  assert.match(problemOf(new Date()), /a Date is no duration/);
  assert.match(problemOf(null), /a null is no duration/);
});

test("a mistake is told with the option's name, and as an error of ours", () => {
  assert.throws(
    () => durationMs("5x" as Duration, "retry.delay"),
    (error: Error) => {
      assert.ok(isTasktrailError(error, "invalid_option"));
      assert.equal(error.details["option"], "retry.delay");
      return error.message.startsWith("retry.delay: ");
    },
  );
  assert.throws(() => duration("soon"), { code: "invalid_option" });
  assert.equal(duration("10m"), "10m");
});

test("lockTtl takes a number of seconds as well", () => {
  assert.equal(secondsMs(300, "lockTtl"), 300_000);
  assert.equal(secondsMs(0.25, "lockTtl"), 250);
  assert.equal(secondsMs("5m", "lockTtl"), 300_000);
  for (const bad of [-1, Number.NaN, Number.POSITIVE_INFINITY, 366 * 86_400]) {
    assert.throws(() => secondsMs(bad, "lockTtl"), /is not a number of seconds/);
  }
});
