import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { ResolvedRetry } from "../../../src/define/policy.ts";
import { Abort, Retry } from "../../../src/define/steer.ts";
import { leaseLost, runCancelled, shuttingDown, timedOut } from "../../../src/errors.ts";
import { type Case, judge } from "../../../src/execute/outcome.ts";

const policy: ResolvedRetry = {
  attempts: 3,
  backoff: "exponential",
  delayMs: 1_000,
  maxDelayMs: 60_000,
  jitter: 0,
  when: undefined,
};
const failed = (error: unknown, over: Partial<Case> = {}): Case => ({
  outcome: { isSuccess: false, error },
  abortedBy: undefined,
  attempt: 1,
  retry: policy,
  random: () => 0.5,
  ...over,
});

test("what succeeded has succeeded, whatever its signal said", () => {
  for (const abortedBy of [undefined, timedOut("t", 1), runCancelled("r"), leaseLost("r"), shuttingDown(1)]) {
    const verdict = judge({ ...failed(null), outcome: { isSuccess: true, value: 1 }, abortedBy });
    assert.deepEqual(verdict, { kind: "succeeded", value: 1 });
  }
});

test("a failure is tried again with a growing wait, and dies with the last attempt", () => {
  const error = new Error("no");
  assert.deepEqual(judge(failed(error)), { kind: "retried", error, delayMs: 1_000 });
  assert.deepEqual(judge(failed(error, { attempt: 2 })), { kind: "retried", error, delayMs: 2_000 });
  assert.deepEqual(judge(failed(error, { attempt: 3 })), { kind: "died", error, reason: "attempts" });
  assert.deepEqual(judge(failed(error, { attempt: 4 })), { kind: "died", error, reason: "attempts" });
});

test("Abort, a refused `when` and a result that cannot travel end a run; Retry names its own wait", () => {
  const abort = new Abort();
  assert.deepEqual(judge(failed(abort)), { kind: "died", error: abort, reason: "aborted" });
  const retry = { ...policy, when: () => false };
  assert.equal((judge(failed(1, { retry })) as { reason: string }).reason, "not_retryable");
  const bad = judge({ ...failed(1), outcome: { isSuccess: false, error: 1, isOfResult: true } });
  assert.equal((bad as { reason: string }).reason, "invalid_result");
  const asked = new Retry({ in: "5m" });
  assert.deepEqual(judge(failed(asked)), { kind: "retried", error: asked, delayMs: 300_000 });
});

test("what fails after its signal was aborted fails because of that", () => {
  const late = timedOut("t", 1);
  assert.deepEqual(judge(failed(new Error("AbortError"), { abortedBy: late })), {
    kind: "retried",
    error: late,
    delayMs: 1_000,
  });
  assert.equal(judge(failed(1, { abortedBy: runCancelled("r") })).kind, "cancelled");
  assert.equal(judge(failed(1, { abortedBy: leaseLost("r") })).kind, "dropped");
  assert.equal(judge(failed(1, { abortedBy: shuttingDown(1) })).kind, "released");
});

test("any error at any attempt gives a verdict, and never more attempts than there are", () => {
  const anything = fc.oneof(fc.anything(), fc.constant(new Abort()), fc.constant(new Retry()));
  fc.assert(
    fc.property(
      anything,
      fc.integer({ min: 1, max: 100 }),
      fc.integer({ min: 1, max: 10 }),
      (error, attempt, attempts) => {
        const verdict = judge(failed(error, { attempt, retry: { ...policy, attempts } }));
        assert.ok(["retried", "died"].includes(verdict.kind));
        if (verdict.kind === "retried") assert.ok(attempt < attempts && verdict.delayMs >= 0);
      },
    ),
  );
});
