import assert from "node:assert/strict";
import { test } from "node:test";
import { nextSlots, slotsOf } from "../../../src/define/pattern.ts";

const MINUTE = 60_000;
const HOUR = 3_600_000;
const DAY = 86_400_000;

const zones = [
  "Africa/Cairo",
  "Africa/Casablanca", // puts its clocks back for Ramadan, in winter or in summer
  "America/Asuncion",
  "America/Havana", // leaps at midnight
  "America/New_York",
  "America/Santiago", // leaps from midnight, and is put back to before it
  "America/St_Johns", // half an hour off the others
  "Antarctica/Troll", // by two hours
  "Asia/Beirut",
  "Asia/Gaza",
  "Atlantic/Azores", // crosses midnight
  "Australia/Lord_Howe", // by half an hour
  "Europe/Berlin",
  "Europe/Dublin",
];

/** Minutes and hours by what they have to divide by, or be. `even`: changes by such minutes leave it as it was. */
const patterns = [
  { expression: "30 2 * * *", is: (hour: number, minute: number) => hour === 2 && minute === 30, even: 0 },
  { expression: "0 0 * * *", is: (hour: number, minute: number) => hour === 0 && minute === 0, even: 0 },
  { expression: "45 23 * * *", is: (hour: number, minute: number) => hour === 23 && minute === 45, even: 0 },
  { expression: "15 3 * * *", is: (hour: number, minute: number) => hour === 3 && minute === 15, even: 0 },
  { expression: "*/10 0-3 * * *", is: (hour: number, minute: number) => hour <= 3 && minute % 10 === 0, even: 0 },
  { expression: "0 */2 * * *", is: (hour: number, minute: number) => hour % 2 === 0 && minute === 0, even: 0 },
  { expression: "20 1,2 * * *", is: (hour: number, minute: number) => [1, 2].includes(hour) && minute === 20, even: 0 },
  { expression: "0 * * * *", is: (_hour: number, minute: number) => minute === 0, even: 60 },
  { expression: "5,35 * * * *", is: (_hour: number, minute: number) => minute % 30 === 5, even: 30 },
  { expression: "*/15 * * * *", is: (_hour: number, minute: number) => minute % 15 === 0, even: 15 },
  { expression: "* * * * *", is: () => true, even: 1 },
];

/** What a zone's clocks show, as if it were UTC. */
function clocksOf(timeZone: string): (ms: number) => number {
  const fields = { year: "numeric", month: "numeric", day: "numeric", hour: "numeric", minute: "numeric" } as const;
  const format = new Intl.DateTimeFormat("en-US", { timeZone, hourCycle: "h23", ...fields });
  return (ms) => {
    const [month = 0, day = 0, year = 0, hour = 0, minute = 0] = (format.format(ms).match(/\d+/g) ?? []).map(Number);
    return Date.UTC(year, month - 1, day, hour, minute);
  };
}

/** The instants of ten years at which a zone's clocks were or will be changed, to the minute. */
function changesOf(clocks: (ms: number) => number): number[] {
  const offset = (ms: number) => clocks(ms) - ms;
  const found: number[] = [];
  for (let day = Date.UTC(2018, 0, 1); day < Date.UTC(2028, 0, 1); day += DAY) {
    const before = offset(day);
    if (before === offset(day + DAY)) continue;
    let hour = day;
    while (offset(hour + HOUR) === before) hour += HOUR;
    while (offset(hour + MINUTE) === before) hour += MINUTE;
    found.push(hour + MINUTE);
  }
  return found;
}

/**
 * Every minute of six hours on either side of a change, with what clocks show then; how far they have leapt just before it; and whether they show it again.
 * Before the change, which is known to the minute, and from it on they are off UTC by the same.
 */
function minutesAround(change: number, clocks: (ms: number) => number) {
  const offsetAt = (ms: number) => clocks(ms) - ms;
  const [earlier, later] = [offsetAt(change - MINUTE), offsetAt(change)];
  assert.ok(
    earlier === offsetAt(change - 6 * HOUR) && later === offsetAt(change + 6 * HOUR),
    "one change in half a day",
  );
  const wallAt = (ms: number) => ms + (ms < change ? earlier : later);
  const seen = new Set<number>();
  return Array.from({ length: 12 * 60 }, (_, index) => {
    const at = change - 6 * HOUR + index * MINUTE;
    const wall = wallAt(at);
    const minute = { at, wall, leaptFrom: wallAt(at - MINUTE), isAgain: seen.has(wall) };
    seen.add(wall);
    return minute;
  });
}

/** The slots as the rule has them: each time of the wall clock once, unless the change leaves the pattern as it was. */
function slotsByScan(minutes: ReturnType<typeof minutesAround>, pattern: (typeof patterns)[number]): number[] {
  const isNamed = (wall: number) => pattern.is(Math.floor((wall % DAY) / HOUR), (wall % HOUR) / MINUTE);
  const [first, last] = [minutes[0], minutes.at(-1)];
  const shift = Math.abs(((last?.wall ?? 0) - (last?.at ?? 0) - ((first?.wall ?? 0) - (first?.at ?? 0))) / MINUTE);
  const isEven = pattern.even > 0 && shift % pattern.even === 0;
  return minutes.flatMap(({ at, wall, leaptFrom, isAgain }) => {
    let hasLeapt = false;
    for (let leapt = leaptFrom + MINUTE; leapt < wall; leapt += MINUTE) hasLeapt ||= isNamed(leapt);
    if (hasLeapt && !isEven) return [at];
    return isNamed(wall) && (isEven || !isAgain) ? [at] : [];
  });
}

for (const zone of zones) {
  test(`${zone}: around every change of clocks in ten years, the slots are those of a minute's scan, from wherever the walk begins`, () => {
    const clocks = clocksOf(zone);
    const changes = changesOf(clocks);
    assert.ok(changes.length >= 8, `${changes.length} changes`);
    const walks = patterns.map((pattern) => ({ pattern, slots: slotsOf({ ...pattern, timezone: zone }) }));
    for (const change of changes) {
      const minutes = minutesAround(change, clocks);
      const [from, until] = [(minutes[0]?.at as number) - 1, minutes.at(-1)?.at as number];
      for (const { pattern, slots } of walks) {
        const expected = slotsByScan(minutes, pattern);
        const found = slots(from, expected.length + 1);
        const what = `${pattern.expression} at ${new Date(change).toISOString()}`;
        assert.deepEqual(found.slice(0, -1), expected, what);
        assert.ok((found.at(-1) as number) > until, what);
        for (let begin = from; begin < until; begin += 41 * MINUTE) {
          const next = found.find((slot) => slot > begin);
          assert.deepEqual(slots(begin, 1), [next], `${what} from ${new Date(begin).toISOString()}`);
        }
      }
    }
  });
}

function iso(expression: string, timezone: string, after: string, count: number): string[] {
  return nextSlots({ expression, timezone }, Date.parse(after), count).map((slot) => new Date(slot).toISOString());
}

test("a day that a zone leaves out fires once, right after it", () => {
  // Samoa went from the 29th to the 31st of December 2011.
  assert.deepEqual(iso("0 9 * * *", "Pacific/Apia", "2011-12-29T12:00:00Z", 3), [
    "2011-12-29T19:00:00.000Z",
    "2011-12-30T10:00:00.000Z",
    "2011-12-30T19:00:00.000Z",
  ]);
});

test("clocks that are put back past midnight show neither day twice", () => {
  // Newfoundland, until 2011, one minute after midnight.
  assert.deepEqual(iso("30 23 * * *", "America/St_Johns", "2010-11-06T12:00:00Z", 2), [
    "2010-11-07T02:00:00.000Z",
    "2010-11-08T03:00:00.000Z",
  ]);
  assert.deepEqual(iso("0 0 * * *", "America/St_Johns", "2010-11-06T12:00:00Z", 2), [
    "2010-11-07T02:30:00.000Z",
    "2010-11-08T03:30:00.000Z",
  ]);
});
