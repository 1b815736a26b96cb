import assert from "node:assert/strict";
import { test } from "node:test";
import { type Ended, resultOf, revive } from "../../../src/enqueue/result.ts";
import type { LedgerEvent } from "../../../streams/events.ts";

const common = { v: 1, at: 1_000, run: "r", task: "t", queue: "q" } as const;

function ended(event: LedgerEvent, rest: Partial<Ended> = {}): Ended {
  return { task: undefined, event, json: null, nowMs: 2_000, defaults: {}, ...rest };
}
const succeeded = {
  type: "run.succeeded",
  ...common,
  attempt: 1,
  delivery: 1,
  worker: "w",
  durationMs: 1,
} as const satisfies LedgerEvent;

test("a result is read, and nothing is read of a handler that returned nothing", async () => {
  assert.deepEqual(await resultOf(ended(succeeded, { json: '{"a":1}' })), { a: 1 });
  assert.equal(await resultOf(ended(succeeded)), undefined);
});

test("without a result once its time is up, nobody can tell whether there was one", async () => {
  const dayLater = { nowMs: 1_000 + 86_400_001 };
  await assert.rejects(resultOf(ended(succeeded, dayLater)), { code: "result_not_kept" });
  assert.equal(await resultOf(ended(succeeded, { ...dayLater, defaults: { resultTtl: "2d" } })), undefined);
});

const endings: [LedgerEvent, { code: string; message: RegExp }][] = [
  [
    { type: "run.died", ...common, reason: "poison" },
    { code: "run_failed", message: /\(poison\)/ },
  ],
  [
    { type: "run.cancelled", ...common, reason: "enough" },
    { code: "run_cancelled", message: /enough/ },
  ],
  [
    { type: "run.skipped", ...common, reason: "overlap", holder: "h" },
    { code: "run_skipped", message: /run h/ },
  ],
  [
    { type: "run.lost", ...common, entry: "1-1" },
    { code: "run_failed", message: /Run r has failed \(lost\)/ },
  ],
];
for (const [event, expected] of endings) {
  test(`${event.type} is thrown as ${expected.code}`, () => assert.rejects(resultOf(ended(event)), expected));
}

test("an error made again has the name, message, code and stack that were recorded", () => {
  const error = revive({
    type: "TypeError",
    message: "no",
    code: "E1",
    stack: "TypeError: no\n    at x",
    fingerprint: "f",
  });
  assert.ok(error instanceof Error);
  assert.deepEqual(
    [error.name, error.message, (error as { code?: string }).code, error.stack],
    ["TypeError", "no", "E1", "TypeError: no\n    at x"],
  );
  assert.equal(revive({ type: "Odd", message: "m", fingerprint: "f" }).stack, "Odd: m");
});
