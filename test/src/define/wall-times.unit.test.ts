import assert from "node:assert/strict";
import { test } from "node:test";
import { nextSlots } from "../../../src/define/pattern.ts";

function slots(expression: string, after: string, count: number): string[] {
  const found = nextSlots({ expression, timezone: "UTC" }, Date.parse(after), count);
  return found.map((slot) => new Date(slot).toISOString().slice(0, 16));
}

/** The examples of crontab(5), in its words. 2026-03-01 is a Sunday. */
const manual: [string, string, string[]][] = [
  ["five minutes after midnight, every day", "5 0 * * *", ["2026-03-01T00:05", "2026-03-02T00:05"]],
  ["at 2:15pm on the first of every month", "15 14 1 * *", ["2026-03-01T14:15", "2026-04-01T14:15"]],
  [
    "at 10 pm on weekdays",
    "0 22 * * 1-5",
    [2, 3, 4, 5, 6, 9].map((day) => `2026-03-${String(day).padStart(2, "0")}T22:00`),
  ],
  [
    "23 minutes after midnight, 2am, 4am ..., everyday",
    "23 0-23/2 * * *",
    ["2026-03-01T00:23", "2026-03-01T02:23", "2026-03-01T04:23"],
  ],
  ["at 5 after 4 every Sunday", "5 4 * * sun", ["2026-03-01T04:05", "2026-03-08T04:05"]],
  [
    "4:30 am on the 1st and 15th of each month, plus every Friday",
    "30 4 1,15 * 5",
    ["01", "06", "13", "15", "20", "27"].map((day) => `2026-03-${day}T04:30`),
  ],
  ["the days of the second week", "0 4 8-14 * *", ["2026-03-08T04:00", "2026-03-09T04:00"]],
];

for (const [words, expression, expected] of manual) {
  test(`${expression}: ${words}`, () => {
    assert.deepEqual(slots(expression, "2026-02-28T23:59:00Z", expected.length), expected);
  });
}

test("a day field that contains a * does not widen the other: both must match, as crontab(5) has it", () => {
  assert.deepEqual(slots("0 0 */2 * mon", "2026-03-01T00:00:00Z", 3), [
    "2026-03-09T00:00",
    "2026-03-23T00:00",
    "2026-04-13T00:00",
  ]);
  // How crontabs say "the first Sunday of the month".
  assert.deepEqual(slots("0 0 1-7 * */7", "2026-03-01T00:00:00Z", 2), ["2026-04-05T00:00", "2026-05-03T00:00"]);
});

test("names, steps, ranges, lists and last days are read", () => {
  assert.deepEqual(slots("0 0 1 jan,jul *", "2026-03-01T00:00:00Z", 2), ["2026-07-01T00:00", "2027-01-01T00:00"]);
  assert.deepEqual(slots("10-40/15 8 * * *", "2026-03-01T00:00:00Z", 3), [
    "2026-03-01T08:10",
    "2026-03-01T08:25",
    "2026-03-01T08:40",
  ]);
  assert.deepEqual(slots("0 0 1,L * *", "2026-02-01T00:00:00Z", 3), [
    "2026-02-28T00:00",
    "2026-03-01T00:00",
    "2026-03-31T00:00",
  ]);
  assert.deepEqual(slots("0 9 * * 1L,5", "2026-03-20T12:00:00Z", 3), [
    "2026-03-27T09:00",
    "2026-03-30T09:00",
    "2026-04-03T09:00",
  ]);
  assert.deepEqual(slots("0 9 * * 5#5", "2026-01-01T00:00:00Z", 2), ["2026-01-30T09:00", "2026-05-29T09:00"]);
  assert.deepEqual(slots("0 0 * * 7", "2026-03-02T00:00:00Z", 1), slots("0 0 * * 0", "2026-03-02T00:00:00Z", 1));
});

test("days that come once in decades are found, and those that never come are none", () => {
  // A 29th of February that is a Monday.
  assert.deepEqual(slots("0 0 29 2 */1", "2026-03-01T00:00:00Z", 1), ["2028-02-29T00:00"]);
  assert.deepEqual(slots("0 0 29 2 *", "2896-03-01T00:00:00Z", 1), ["2904-02-29T00:00"]);
  assert.deepEqual(slots("0 0 29 2 5#5", "1900-03-01T00:00:00Z", 0), []);
});
