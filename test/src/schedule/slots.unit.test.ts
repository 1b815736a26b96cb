import assert from "node:assert/strict";
import { test } from "node:test";
import { slotsOf } from "../../../src/define/pattern.ts";
import { remembering } from "../../../src/schedule/slots.ts";

test("slots that are remembered are the slots that there are, in whatever order they are asked for", () => {
  const start = Date.parse("2026-03-28T22:00:00Z");
  let seed = 7;
  const random = (below: number) => {
    seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
    return seed % below;
  };
  for (const expression of ["*/7 * * * *", "30 2 * * *", "0 0 29 2 *", "0 0 1 1 *"]) {
    const plain = slotsOf({ expression, timezone: "Europe/Berlin" });
    const remembered = remembering(plain);
    for (let round = 0; round < 300; round += 1) {
      const after = start + random(200) * 500_000 - (random(2) === 0 ? 0 : 1);
      const count = 1 + random(12);
      assert.deepEqual(remembered(after, count), plain(after, count), `${expression} after ${after}, ${count}`);
    }
  }
});
