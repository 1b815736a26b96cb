import assert from "node:assert/strict";
import { test } from "node:test";
import { Abort, askedDelayMs, Retry } from "../../src/define/steer.ts";
import { duplicateTask, enqueueFailed, isTasktrailError, runFailed, TasktrailError } from "../../src/errors.ts";

test("an error is called by its code, in stacks as well", () => {
  const error = new TasktrailError("enqueue_failed", "no");
  assert.equal(error.name, "EnqueueFailed");
  assert.match(String(error), /^EnqueueFailed: no$/);
  assert.deepEqual(Object.keys(error), ["code", "details"]);
});

test("errors are known across copies of the package, and strangers with the same code are not", () => {
  const other = Object.assign(new Error("x"), { code: "timeout", [Symbol.for("tasktrail.error")]: true });
  assert.equal(isTasktrailError(other, "timeout"), true);
  assert.equal(isTasktrailError(Object.assign(new Error("x"), { code: "timeout" }), "timeout"), false);
  for (const value of [undefined, null, "timeout", 5, {}]) assert.equal(isTasktrailError(value), false);
});

test("the cause is kept, and is absent when there is none", () => {
  const cause = new Error("why");
  assert.equal(new TasktrailError("timeout", "x", { cause }).cause, cause);
  assert.equal("cause" in new TasktrailError("timeout", "x"), false);
  assert.match(runFailed("r1", "attempts", cause).message, /Run r1 has failed \(attempts\): why/);
});

test("a failed dispatch says whether it is safe to dispatch again", () => {
  const unsure = enqueueFailed("resize", { ambiguous: true, sent: 500, reason: "Redis did not answer within 5000 ms" });
  assert.match(unsure.message, /500 runs were taken before that\. It may have been taken all the same/);
  assert.deepEqual(unsure.details, { task: "resize", ambiguous: true, sent: 500 });
  const sure = enqueueFailed("resize", { ambiguous: false, sent: 0, reason: "Redis is away" });
  assert.match(sure.message, /Nothing of it was taken/);
});

test("a duplicate is told with every place", () => {
  const error = duplicateTask("resize", ["/app/a.ts:3", "/app/b.ts:9"]);
  assert.match(error.message, /Task "resize" is declared 2 times.*\n {2}\/app\/a\.ts:3\n {2}\/app\/b\.ts:9\n/);
});

test("a handler steers by what it throws", () => {
  const cause = new Error("bank");
  const retry = new Retry({ in: "30s", message: "bank says wait", cause });
  assert.deepEqual([retry.code, retry.name, retry.message, retry.cause], ["retry", "Retry", "bank says wait", cause]);
  assert.equal(askedDelayMs(retry), 30_000);
  assert.equal(askedDelayMs(new Retry()), undefined);
  assert.equal(askedDelayMs(new Error("x")), undefined);
  assert.throws(() => new Retry({ in: "30 seconds" as never }), /did you mean "30s"/);
  const abort = new Abort("too much");
  assert.deepEqual([abort.code, abort.name, abort.message], ["abort", "Abort", "too much"]);
});
