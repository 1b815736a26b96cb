import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { cronRecord } from "../../../src/define/cron-record.ts";
import { slotsOf } from "../../../src/define/pattern.ts";
import { changed } from "../../../src/schedule/definition.ts";
import { gapsIn, pastWith } from "../../../src/schedule/gaps.ts";
import { endStretch, firedIn, readPast, stretchLine } from "../../../src/schedule/stretches.ts";
import type { KeptSchedule } from "../../../streams/cron.ts";

const MINUTE = 60_000;
const start = Date.parse("2026-03-01T00:00:00Z");
const nothing: KeptSchedule = {
  definition: "",
  seenAt: undefined,
  since: undefined,
  past: "",
  last: undefined,
  fired: undefined,
  firedCount: 0,
};
const definition = changed({
  content: { task: "t", ...cronRecord("*/5 * * * *", {}) },
  before: undefined,
  nowMs: start,
  source: "run_time",
});
const pattern = "*/5 * * * *\tUTC";

test("whichever slots fired and were missed, what was noted of them tells them apart", () => {
  fc.assert(
    fc.property(fc.array(fc.boolean(), { minLength: 1, maxLength: 60 }), (did) => {
      // As `fire.lua` notes it: a stretch ends where slots were missed before the one that fires.
      let kept = nothing;
      for (const [index, isFired] of did.entries()) {
        const slot = start + (index + 1) * 5 * MINUTE;
        if (!isFired) kept = { ...endStretch(kept, pattern), last: slot };
        else kept = { ...kept, last: slot, fired: slot, since: kept.since ?? slot };
      }
      const range = { from: start + 1, until: start + 10_000 * MINUTE, nowMs: start + 20_000 * MINUTE };
      const missed = did.flatMap((isFired, index) => (isFired ? [] : [start + (index + 1) * 5 * MINUTE]));
      const gaps = gapsIn({ kept, definition, ...range });
      assert.deepEqual(
        gaps.map(({ slot }) => slot),
        missed,
      );
      const filled = { ...kept, past: pastWith({ kept, definition }, gaps) };
      assert.deepEqual(gapsIn({ kept: filled, definition, ...range }), []);
    }),
    { numRuns: 60 },
  );
});

test("each gap knows the slot before it that fired or is to, and that it came before the schedule", () => {
  const [first, last] = [start + 30 * MINUTE, start + 60 * MINUTE];
  const kept = { ...nothing, last, fired: last, since: first };
  const later = { ...definition, createdAt: start + 12 * MINUTE };
  const gaps = gapsIn({ kept, definition: later, from: start, until: last, nowMs: last });
  const minutes = (slot: number | undefined) => (slot === undefined ? undefined : (slot - start) / MINUTE);
  assert.deepEqual(
    gaps.map(({ slot, previous, rerun }) => [minutes(slot), minutes(previous), rerun > 0]),
    [
      [0, undefined, true],
      [5, 0, true],
      [10, 5, true],
      [15, 10, false],
      [20, 15, false],
      [25, 20, false],
    ],
  );
});

test("slots of a pattern that did not hold then have not fired, unless they were also those of the one that did", () => {
  const past = stretchLine({ from: start, until: start + 60 * MINUTE, pattern: "*/10 * * * *\tUTC" });
  const hasFired = firedIn(readPast({ ...nothing, past }, definition.content));
  const slots = slotsOf(definition.content)(start - 1, 12);
  assert.deepEqual(
    slots.map((slot) => hasFired(slot)),
    slots.map((_, index) => index % 2 === 0),
  );
});

test("what was forgotten counts as fired: nothing runs twice for want of memory", () => {
  const past = `+${stretchLine({ from: start, until: start + 10 * MINUTE, pattern })}`;
  const gaps = gapsIn({
    kept: { ...nothing, past, last: start + 30 * MINUTE },
    definition,
    from: start - 60 * MINUTE,
    until: start + 30 * MINUTE,
    nowMs: start + 40 * MINUTE,
  });
  assert.deepEqual(
    gaps.map(({ slot }) => (slot - start) / MINUTE),
    [15, 20, 25, 30],
  );
});

test("lines that nobody of ours has written are passed over", () => {
  const { stretches } = readPast({ ...nothing, past: "x\n1 b c\n5 6 * * * * *\tUTC\n" }, definition.content);
  assert.deepEqual(stretches, [{ from: 5, until: 6, pattern: "* * * * *\tUTC" }]);
});
