import assert from "node:assert/strict";
import { test } from "node:test";
import { resolveDispatch } from "../../../src/define/resolve-dispatch.ts";

test("a dispatch of which nothing is said costs nothing", () => {
  assert.equal(resolveDispatch({}), resolveDispatch({}));
  assert.equal(resolveDispatch({}).keyTtl, 86_400_000);
});

test("what is said is read in milliseconds", () => {
  const at = new Date(5_000);
  assert.equal(resolveDispatch({ delay: "10m" }).delayMs, 600_000);
  assert.equal(resolveDispatch({ at }).atMs, 5_000);
  assert.equal(resolveDispatch({ key: "a", keyTtl: "run" }).keyTtl, "run");
  assert.equal(resolveDispatch({ key: "a", keyTtl: "1h" }).keyTtl, 3_600_000);
  assert.equal(resolveDispatch({ expires: "0s" }).expiresMs, 0);
  assert.deepEqual(resolveDispatch({ labels: { tenant: "a" } }).labels, { tenant: "a" });
  assert.deepEqual(resolveDispatch({ timeout: "1s", retry: { attempts: 2 } }).retry, { attempts: 2 });
  assert.equal(resolveDispatch({ delay: undefined, queue: undefined }).delayMs, undefined);
});

test("labels are kept as they were when they were given", () => {
  const labels: Record<string, string> = { tenant: "a" };
  const resolved = resolveDispatch({ labels });
  labels["tenant"] = "b";
  assert.deepEqual(resolved.labels, { tenant: "a" });
});

test("what cannot be is refused", () => {
  const many = Object.fromEntries(Array.from({ length: 17 }, (_, index) => [`l${index}`, "x"]));
  const refused: [object, RegExp][] = [
    [{ dely: "1s" }, /dely: with\(\) has no such option\. Did you mean "delay"\?/],
    [{ delay: "1s", at: new Date() }, /at: not together with `delay`/],
    [{ at: new Date(Number.NaN) }, /at: an invalid Date is not a valid Date/],
    [{ at: "2026-01-01" }, /at: "2026-01-01" is not a valid Date/],
    [{ key: "" }, /key: has 0 characters/],
    [{ key: "x".repeat(501) }, /key: has 501 characters.* Hash what is longer/],
    [{ key: 5 }, /key: 5 is not text/],
    [{ key: "a\0b" }, /key: holds U\+0000/],
    [{ keyTtl: "day" }, /keyTtl: "day" is no duration/],
    [{ queue: "a b" }, /queue: "a b" cannot be a queue/],
    [{ labels: many }, /labels: 17 of them: at most 16/],
    [{ labels: { a: 5 } }, /labels\.a: 5 is not text/],
    [{ labels: { a: "\ud800" } }, /labels\.a: holds U\+0000 or half of a surrogate pair/],
    [{ labels: { a: "x".repeat(500) } }, /labels\.a: a label's name and text/],
    [{ timeout: "0s" }, /timeout: "0s" would end the run at once/],
    [{ retry: { when: () => true } }, /a function cannot travel/],
  ];
  for (const [options, message] of refused) assert.throws(() => resolveDispatch(options), message);
});
