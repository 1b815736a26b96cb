import assert from "node:assert/strict";
import { test } from "node:test";
import { foldOf } from "tasktrail/testing";
import { failures } from "./failures.ts";

test("failures that are alike are one row", () => {
  const error = { type: "TypeError", message: "x is undefined", fingerprint: "f00" };
  const attempt = { run: "01890000-0000-7abc-8000-000000000001", task: "charge", delivery: 1, worker: "w1", error };
  const rows = foldOf(failures, [
    { type: "run.failed", ...attempt, attempt: 1, durationMs: 5 },
    { type: "run.failed", ...attempt, attempt: 2, durationMs: 5 },
  ]);
  assert.equal(rows.get("f00")?.count, 2);
});
