import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { createRoster } from "../../src/roster.ts";

test("a roster has what a set would have, whatever comes and goes", () => {
  const steps = fc.array(fc.tuple(fc.boolean(), fc.nat({ max: 9 })), { maxLength: 60 });
  fc.assert(
    fc.property(steps, (all) => {
      const people = Array.from({ length: 10 }, (_, id) => ({ id, place: -1 }));
      const roster = createRoster<(typeof people)[0]>();
      const set = new Set<(typeof people)[0]>();
      for (const [isAdded, at] of all) {
        const one = people[at] as (typeof people)[0];
        if (isAdded) roster.add(one);
        else roster.remove(one);
        if (isAdded) set.add(one);
        else set.delete(one);
        assert.equal(roster.size(), set.size);
        assert.deepEqual(
          people.map((person) => roster.has(person)),
          people.map((person) => set.has(person)),
        );
      }
      assert.deepEqual(new Set(roster.all()), set);
    }),
  );
});
