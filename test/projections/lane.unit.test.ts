import assert from "node:assert/strict";
import { test } from "node:test";
import { backoffMs } from "../../projections/lane.ts";

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
