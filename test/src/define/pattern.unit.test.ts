import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { describe } from "../../../src/define/describe.ts";
import { nextSlots, readPattern } from "../../../src/define/pattern.ts";

const MINUTE = 60_000;

function problemOf(expression: unknown, timezone: unknown = "UTC"): string {
  try {
    readPattern(expression, timezone);
  } catch (error) {
    assert.equal((error as { code?: unknown }).code, "invalid_option");
    return (error as Error).message;
  }
  assert.fail(`${String(expression)} in ${String(timezone)} was read`);
}

function slots(expression: string, timezone: string, after: string, count: number): string[] {
  return nextSlots(readPattern(expression, timezone), Date.parse(after), count).map((ms) =>
    new Date(ms).toISOString().slice(0, 16),
  );
}

test("the mistake is marked below the expression", () => {
  assert.equal(problemOf("0 25 * * *"), "expression: hour: 25 is not from 0 to 23\n  0 25 * * *\n    ^^");
  assert.equal(
    problemOf("*/5  * *\t* mon-foo"),
    'expression: day of week: "foo" is not a whole number, nor one of sun, mon, tue, wed, thu, fri, sat\n  */5 * * * mon-foo\n            ^^^^^^^',
  );
  assert.equal(
    problemOf("0 0 31 2,4 *"),
    "expression: it never fires: month 2,4 has no day 31\n  0 0 31 2,4 *\n      ^^ ^^^",
  );
});

test("each kind of mistake has its sentence", () => {
  const mistakes: [string, RegExp][] = [
    ["60 * * * *", /minute: 60 is not from 0 to 59/],
    ["-1 * * * *", /minute: "" is missing: a range is written 1-5/],
    ["1.5 * * * *", /minute: "1\.5" is not a whole number/],
    ["1,,2 * * * *", /minute: a value is missing beside a comma/],
    ["1-2-3 * * * *", /"1-2-3" is not a range/],
    ["1/2/3 * * * *", /has more than one \//],
    ["*/x * * * *", /has no whole number after its \//],
    ["*/0 * * * *", /steps by 0/],
    ["*/90 * * * *", /steps past the end.* less than 60/],
    ["*/60 * * * *", /steps past the end/],
    ["0 */24 * * *", /hour: .* less than 24/],
    ["* 22-4 * * *", /"22-4" runs backwards: write 22-23,0-4/],
    ["* * * * fri-sun", /"fri-sun" runs backwards: write 5-7, of which 7 is Sunday/],
    ["* * 0 * *", /day of month: 0 is not from 1 to 31/],
    ["* * * 13 *", /month: 13 is not from 1 to 12/],
    ["* * * * 8", /day of week: 8 is not from 0 to 7/],
    ["* * ? * *", /"\?" is Quartz's: write \*/],
    ["H * * * *", /"H" is Jenkins' hash/],
    ["H/5 * * * *", /is Jenkins' hash/],
    ["*,5 * * * *", /a \* beside other values/],
    ["* * 15W * *", /"15W" is not a whole number/],
    ["* * * * L", /"L" is not a whole number/],
    ["０ * * * *", /"０" is not a whole number/],
  ];
  for (const [expression, message] of mistakes) assert.match(problemOf(expression), message, expression);
});

test("what has not five fields is refused, with what to write instead", () => {
  assert.match(problemOf("0 0 */6 * * *"), /six fields: seconds are not supported\. Did you mean "0 \*\/6 \* \* \*"\?/);
  assert.match(problemOf("0 0 1 1 * * 2026"), /has 7: a cron expression has five fields/);
  assert.match(problemOf("* * * *"), /has 4: a cron expression has five fields/);
  assert.match(problemOf(""), /it is empty: a cron expression has five fields/);
  assert.match(problemOf("   "), /it is empty/);
  assert.match(problemOf(undefined), /undefined is not text/);
  assert.match(problemOf(`${"1,".repeat(200)}1 * * * *`), /it has \d+ characters, and at most 256 are read/);
  assert.match(problemOf("@daily"), /"@daily" is a macro: write "0 0 \* \* \*"/);
  assert.match(problemOf("@every 5m"), /write "\*\/5 \* \* \* \*"/);
  assert.match(problemOf("@every 2h"), /write "0 \*\/2 \* \* \*"/);
  assert.match(problemOf("@reboot"), /"@reboot" names no time: call trigger\(\)/);
  assert.match(problemOf("@constructor"), /is not known/);
});

test("a zone is an IANA name, and the nearest one is said", () => {
  assert.match(
    problemOf("* * * * *", "Europe/Berln"),
    /"Europe\/Berln" is not a time zone: did you mean "Europe\/Berlin"\?/,
  );
  assert.match(problemOf("* * * * *", "berlin"), /did you mean "Europe\/Berlin"\?/);
  assert.match(problemOf("* * * * *", "New York"), /did you mean "America\/New_York"\?/);
  assert.match(problemOf("* * * * *", "+02:00"), /is an offset, and knows no summer time/);
  assert.match(problemOf("* * * * *", ""), /"" is not a time zone/);
  assert.match(problemOf("* * * * *", 5), /5 is not a time zone/);
  for (const zone of ["UTC", "Europe/Berlin", "Asia/Kathmandu", "Etc/GMT-2"]) {
    assert.equal(readPattern("* * * * *", zone).timezone, zone);
  }
});

test("an expression is kept with single spaces", () => {
  assert.deepEqual(readPattern("  0\t3  * * 1-5 ", "UTC"), { expression: "0 3 * * 1-5", timezone: "UTC" });
});

test("values may overlap, as other crons allow", () => {
  assert.deepEqual(slots("1-3,2-4 0 * * *", "UTC", "2026-01-01T00:00Z", 5), [
    "2026-01-01T00:01",
    "2026-01-01T00:02",
    "2026-01-01T00:03",
    "2026-01-01T00:04",
    "2026-01-02T00:01",
  ]);
  assert.deepEqual(slots("0 0 * * sun,7,0", "UTC", "2026-01-01T00:00Z", 1), ["2026-01-04T00:00"]);
});

test("last days and nth weekdays are known", () => {
  assert.deepEqual(slots("0 0 L * *", "UTC", "2026-01-15T00:00Z", 2), ["2026-01-31T00:00", "2026-02-28T00:00"]);
  assert.deepEqual(slots("0 9 * * mon#2", "UTC", "2026-01-01T00:00Z", 2), ["2026-01-12T09:00", "2026-02-09T09:00"]);
  assert.deepEqual(slots("0 9 * * 5L", "UTC", "2026-01-01T00:00Z", 1), ["2026-01-30T09:00"]);
});

test("a slot lies after the instant, never on it", () => {
  assert.deepEqual(slots("0 12 * * *", "UTC", "2026-01-01T11:59:59.999Z", 1), ["2026-01-01T12:00"]);
  assert.deepEqual(slots("0 12 * * *", "UTC", "2026-01-01T12:00:00.000Z", 1), ["2026-01-02T12:00"]);
});

test("rare slots are found", () => {
  assert.deepEqual(slots("0 0 29 2 *", "UTC", "2096-03-01T00:00Z", 2), ["2104-02-29T00:00", "2108-02-29T00:00"]);
});

test("a time that clocks leap over fires once, right after the gap", () => {
  assert.deepEqual(slots("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00Z", 2), [
    "2026-03-29T01:00",
    "2026-03-30T00:30",
  ]);
  assert.deepEqual(slots("0 0 * * *", "Asia/Beirut", "2026-03-27T23:00Z", 2), ["2026-03-28T22:00", "2026-03-29T21:00"]);
});

test("several times in one gap fire once together", () => {
  assert.deepEqual(slots("*/10 2 * * *", "Europe/Berlin", "2026-03-28T12:00Z", 3), [
    "2026-03-29T01:00",
    "2026-03-30T00:00",
    "2026-03-30T00:10",
  ]);
});

test("a time that clocks show twice fires once", () => {
  assert.deepEqual(slots("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00Z", 2), [
    "2026-10-25T00:30",
    "2026-10-26T01:30",
  ]);
});

test("every half hour stays every half hour when clocks change", () => {
  const spring = nextSlots(readPattern("*/30 * * * *", "Europe/Berlin"), Date.parse("2026-03-28T22:00Z"), 12);
  const autumn = nextSlots(readPattern("*/30 * * * *", "Europe/Berlin"), Date.parse("2026-10-24T22:00Z"), 12);
  for (const all of [spring, autumn]) {
    for (const [index, slot] of all.entries())
      if (index > 0) assert.equal(slot - (all[index - 1] as number), 30 * MINUTE);
  }
});

test("a change of clocks by half an hour does not end a schedule", () => {
  const found = slots("0 2 * 4 *", "Australia/Lord_Howe", "2017-04-29T16:29Z", 2);
  assert.deepEqual(found, ["2018-03-31T15:30", "2018-04-01T15:30"]);
});

const anyField = (least: number, most: number) => {
  const value = fc.integer({ min: least, max: most });
  const range = fc.tuple(value, value).map(([a, b]) => `${Math.min(a, b)}-${Math.max(a, b)}`);
  const step = fc
    .tuple(fc.oneof(fc.constant("*"), range), fc.integer({ min: 1, max: most - least }))
    .map(([of, by]) => `${of}/${by}`);
  const item = fc.oneof(value.map(String), range, step);
  return fc.oneof(
    { weight: 2, arbitrary: fc.constant("*") },
    fc.array(item, { minLength: 1, maxLength: 3 }).map((all) => all.join(",")),
  );
};
// Days 29 to 31 are left to the examples: with them, many expressions never fire.
const expressions = fc
  .tuple(anyField(0, 59), anyField(0, 23), anyField(1, 28), anyField(1, 12), anyField(0, 6))
  .map((fields) => fields.join(" "));
const instants = fc.integer({ min: Date.UTC(2000, 0, 1), max: Date.UTC(2090, 0, 1) });
const zones = fc.constantFrom(
  "UTC",
  "Europe/Berlin",
  "America/New_York",
  "Australia/Lord_Howe",
  "Asia/Kathmandu",
  "America/Havana",
);

test("slots come in order, on whole minutes, and asking from one gives the next", () => {
  fc.assert(
    fc.property(expressions, zones, instants, (expression, zone, after) => {
      const pattern = readPattern(expression, zone);
      const [first = 0, second = 0, third = 0, ...more] = nextSlots(pattern, after, 3);
      assert.ok(after < first && first < second && second < third && more.length === 0);
      for (const slot of [first, second, third]) assert.equal(slot % MINUTE, 0);
      assert.deepEqual(nextSlots(pattern, first, 2), [second, third]);
      assert.deepEqual(nextSlots(pattern, first - 1, 1), [first]);
    }),
    { numRuns: 100 },
  );
});

/** What the fields of an expression say, by the letter; days as in Vixie cron: with both restricted, either is enough. */
function matcherOf(expression: string): (ms: number) => boolean {
  const fields = expression.split(" ");
  const named = fields.map((field, index) => {
    const [least, most] = [[0, 0, 1, 1, 0][index] as number, [59, 23, 31, 12, 6][index] as number];
    const values = new Set<number>();
    for (const item of field.split(",")) {
      const [range = "", by] = item.split("/");
      const [from = least, to = by === undefined ? from : most] =
        range === "*" ? [least, most] : range.split("-").map(Number);
      for (let value = from; value <= to; value += Number(by ?? 1)) values.add(value);
    }
    return values;
  });
  const isEither = fields[2] !== "*" && fields[4] !== "*";
  return (ms) => {
    const at = new Date(ms);
    const values = [at.getUTCMinutes(), at.getUTCHours(), at.getUTCDate(), at.getUTCMonth() + 1, at.getUTCDay()];
    const [minute, hour, day, month, weekday] = values.map((value, index) => named[index]?.has(value));
    return Boolean(minute && hour && month && (isEither ? day || weekday : day && weekday));
  };
}

test("in UTC, the slots are exactly the minutes that the fields name", () => {
  // Steps over all values, as in */2, count as restricted in one cron and not in the other: they are left out of the days.
  const plain = expressions.filter(
    (expression) =>
      !/\*\//.test(
        expression
          .split(" ")
          .filter((_, i) => i === 2 || i === 4)
          .join(" "),
      ),
  );
  fc.assert(
    fc.property(plain, instants, (expression, after) => {
      const from = Math.floor(after / MINUTE) * MINUTE;
      const until = from + 2 * 86_400_000;
      const expected: number[] = [];
      const isNamed = matcherOf(expression);
      for (let at = from + MINUTE; at <= until; at += MINUTE) if (isNamed(at)) expected.push(at);
      const found = nextSlots(readPattern(expression, "UTC"), from, expected.length + 1);
      assert.deepEqual(found.slice(0, expected.length), expected);
      assert.ok((found.at(-1) as number) > until);
    }),
    { numRuns: 30 },
  );
});

test("whatever text is given, it is read or refused with InvalidOption", () => {
  const noise = fc.array(fc.constantFrom("*", "/", "-", ",", "0", "5", "59", "60", "mon", "L", "#", "H", " ", "  "), {
    maxLength: 24,
  });
  fc.assert(
    fc.property(
      fc.oneof(
        noise.map((parts) => parts.join("")),
        fc.string({ maxLength: 40 }),
      ),
      (text) => {
        try {
          const pattern = readPattern(text, "UTC");
          assert.equal(nextSlots(pattern, 0, 1).length, 1);
          describe(pattern);
        } catch (error) {
          assert.equal((error as { code?: unknown }).code, "invalid_option", String(error));
        }
      },
    ),
    { numRuns: 2_000 },
  );
});

test("a pattern is put into words", () => {
  assert.equal(
    describe(readPattern("0 3 * * mon-fri", "Europe/Berlin")),
    "At 03:00, Monday through Friday (Europe/Berlin)",
  );
});
