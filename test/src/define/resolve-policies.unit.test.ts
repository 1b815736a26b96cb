import assert from "node:assert/strict";
import { test } from "node:test";
import type { Policies } from "../../../src/define/policy.ts";
import { policiesOfRun, resolvePolicies, travellingRetry } from "../../../src/define/resolve-policies.ts";

const task = (policies: Policies = {}) => ({ policies, cron: undefined });

test("a task without policies has those of the documentation", () => {
  assert.deepEqual(resolvePolicies(task()), {
    retry: { attempts: 3, backoff: "exponential", delayMs: 1_000, maxDelayMs: 3_600_000, jitter: 0.2, when: undefined },
    timeoutMs: 3_600_000,
    resultTtlMs: 86_400_000,
  });
});

test("a cron is tried once, since its next slot is the retry", () => {
  assert.equal(resolvePolicies({ policies: {}, cron: {} }).retry.attempts, 1);
  assert.equal(resolvePolicies({ policies: { retry: { attempts: 4 } }, cron: {} }).retry.attempts, 4);
});

test("what a task does not state, its broker does", () => {
  const when = () => false;
  const defaults: Policies = { timeout: "10m", retry: { attempts: 9, delay: "2s", when } };
  const resolved = resolvePolicies(task({ retry: { delay: "5s" } }), defaults);
  assert.deepEqual(
    [resolved.timeoutMs, resolved.retry.attempts, resolved.retry.delayMs, resolved.retry.when],
    [600_000, 9, 5_000, when],
  );
  assert.equal(resolvePolicies(task({ timeout: "1s" }), defaults).timeoutMs, 1_000);
});

test("policies that cannot be are refused, by their path", () => {
  const refused: [object, RegExp][] = [
    [{ timeout: "0s" }, /timeout: "0s" would end everything at once/],
    [{ timeout: 30 }, /timeout: 30 has no unit/],
    [{ retry: 3 }, /retry: takes an object of options, and not number/],
    [{ retry: { attempts: 0 } }, /retry\.attempts: 0 is not a whole number from 1/],
    [{ retry: { attempts: 1.5 } }, /retry\.attempts: 1\.5/],
    [{ retry: { attemps: 3 } }, /attemps: retry has no such option\. Did you mean "attempts"\?/],
    [{ retry: { retries: 3 } }, /it is called `attempts`/],
    [{ retry: { backoff: "exponental" } }, /retry\.backoff: "exponental" is none of .* Did you mean "exponential"\?/],
    [{ retry: { delay: "1" } }, /retry\.delay: "1" is no duration/],
    [{ retry: { jitter: 2 } }, /retry\.jitter: 2 is not a share from 0 to 1/],
    [{ retry: { jitter: Number.NaN } }, /retry\.jitter: NaN/],
    [{ retry: { when: true } }, /retry\.when: true is no function/],
  ];
  for (const [policies, message] of refused) assert.throws(() => resolvePolicies(task(policies as Policies)), message);
});

test("the numbers of a retry policy travel with a run, and its functions do not", () => {
  assert.deepEqual(travellingRetry({ attempts: 2, delay: "2s", backoff: "fixed" }), {
    attempts: 2,
    delayMs: 2_000,
    backoff: "fixed",
  });
  assert.deepEqual(travellingRetry({}), {});
  assert.throws(() => travellingRetry({ when: () => true }), /a function cannot travel with a run/);
  assert.throws(() => travellingRetry({ backoff: () => "1s" }), /a function cannot travel with a run/);
});

test("a run's own policies go over its task's", () => {
  const when = () => true;
  const policies = resolvePolicies(task({ retry: { attempts: 5, backoff: () => "9s", when } }));
  const given = policiesOfRun(policies, { timeoutMs: 5, retry: { attempts: 2, backoff: "fixed" } });
  assert.deepEqual(given, { ...policies, timeoutMs: 5, retry: { ...policies.retry, attempts: 2, backoff: "fixed" } });
  assert.equal(policiesOfRun(policies, {}), policies);
  assert.equal(policiesOfRun(policies, { resultTtlMs: 0 }).resultTtlMs, 0);
});
