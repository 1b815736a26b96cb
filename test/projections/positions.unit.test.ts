import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { MOST_POSITIONS, parsePosition, parsePositions, placeOf, withPosition } from "../../projections/positions.ts";

function packed(positions: readonly string[]): string {
  return positions.reduce((text, position) => {
    const next = withPosition(text, position);
    assert.notEqual(next, "backwards");
    return next;
  }, "");
}

test("a position is taken apart from the right, since a queue's name may hold slashes", () => {
  assert.deepEqual(parsePosition("mail/eu/life1/17-3/12"), {
    queue: "mail/eu",
    incarnation: "life1",
    id: "17-3",
    index: 12,
  });
  assert.equal(placeOf("mail/eu/life1/17-3/12"), "mail/eu/life1");
  assert.throws(() => parsePosition("17-3/12"), RangeError);
});

test("positions come back in order, each entry once, over lives of the lane", () => {
  const text = packed(["q/a/1-0/0", "q/a/1-0/7", "q/a/2-1/0", "q/b/1-0/3"]);
  assert.deepEqual(parsePositions(text), {
    entries: [
      { queue: "q", incarnation: "a", id: "1-0" },
      { queue: "q", incarnation: "a", id: "2-1" },
      { queue: "q", incarnation: "b", id: "1-0" },
    ],
    isComplete: true,
  });
});

test("ids compare as numbers: an entry from before the last one is told", () => {
  assert.equal(withPosition(packed(["q/a/10-0/0"]), "q/a/9-0/0"), "backwards");
  assert.equal(withPosition(packed(["q/a/10-2/0"]), "q/a/10-1/0"), "backwards");
  assert.equal(withPosition(packed(["q/a/9-0/0"]), "q/a/10-0/0"), "q/a 9-0 10-0");
});

test("a life of any length keeps its first and its last entries, within a bound", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 3 * MOST_POSITIONS }), (length) => {
      const text = packed(Array.from({ length }, (_, n) => `queue/life/${1_700_000_000_000 + n}-0/0`));
      const { entries, isComplete } = parsePositions(text);
      assert.equal(isComplete, entries.length === length);
      assert.equal(entries[0]?.id, "1700000000000-0");
      assert.equal(entries.at(-1)?.id, `${1_700_000_000_000 + length - 1}-0`);
      assert.ok(entries.length <= MOST_POSITIONS + 20);
    }),
    { numRuns: 50 },
  );
});
