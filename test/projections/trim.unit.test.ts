import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { backoffMs } from "../../projections/lane.ts";
import { trimBelow } from "../../projections/trim.ts";
import { compareIds } from "../../streams/ledger.ts";

const id = fc.record({ ms: fc.nat(2_000_000), seq: fc.nat(50) });

test("neither the checkpoint's own entry nor a young one is ever trimmed", () => {
  fc.assert(
    fc.property(id, id, fc.nat(4_000_000), fc.nat(4_000_000), (checkpoint, entry, nowMs, keepMs) => {
      const isTrimmed = compareIds(`${entry.ms}-${entry.seq}`, trimBelow(checkpoint, nowMs, keepMs)) < 0;
      if (!isTrimmed) return;
      assert.ok(entry.ms < checkpoint.ms || (entry.ms === checkpoint.ms && entry.seq < checkpoint.seq));
      assert.ok(entry.ms < nowMs - keepMs);
    }),
    { numRuns: 1_000 },
  );
});

test("what is archived and old goes", () => {
  assert.equal(trimBelow({ ms: 5_000, seq: 7 }, 10_000, 1_000), "5000-7");
  assert.equal(trimBelow({ ms: 9_500, seq: 7 }, 10_000, 1_000), "9000-0");
});

test("the wait between failures doubles to a bound and is never the same for all", () => {
  const settings = { backoffMs: 100, mostBackoffMs: 10_000 };
  assert.deepEqual(
    [1, 2, 3, 30].map((n) => backoffMs(n, settings, () => 1)),
    [100, 200, 400, 10_000],
  );
  assert.equal(
    backoffMs(1, settings, () => 0),
    50,
  );
});
