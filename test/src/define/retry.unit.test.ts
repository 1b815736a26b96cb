import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Duration } from "../../../src/define/duration.ts";
import type { ResolvedRetry } from "../../../src/define/policy.ts";
import { nextDelay } from "../../../src/define/retry.ts";
import { Abort, Retry } from "../../../src/define/steer.ts";

const policy: ResolvedRetry = {
  attempts: 5,
  backoff: "exponential",
  delayMs: 1_000,
  maxDelayMs: 10_000,
  jitter: 0,
  when: undefined,
};
const boom = new Error("boom");
const half = () => 0.5;

/** The waits after attempt 1, 2, … until there is none. */
function waits(given: Partial<ResolvedRetry>, error: unknown = boom): number[] {
  const all: number[] = [];
  for (let attempt = 1; ; attempt++) {
    const delay = nextDelay({ ...policy, ...given }, attempt, error, half);
    if (delay === undefined) return all;
    all.push(delay);
  }
}

test("exponential waits double up to the cap, and end with the attempts", () => {
  assert.deepEqual(waits({ attempts: 7 }), [1_000, 2_000, 4_000, 8_000, 10_000, 10_000]);
});

test("fixed waits stay the same", () => assert.deepEqual(waits({ backoff: "fixed" }), [1_000, 1_000, 1_000, 1_000]));

test("one attempt means no retry", () => assert.deepEqual(waits({ attempts: 1 }), []));

test("a function says each wait, and the cap cuts it", () => {
  assert.deepEqual(waits({ backoff: (attempt) => `${attempt ** 2}s` }), [1_000, 4_000, 9_000, 10_000]);
  assert.deepEqual(waits({ backoff: (attempt) => `${2 ** (attempt * 70)}s`, attempts: 3 }), [10_000, 10_000]);
  assert.deepEqual(waits({ backoff: () => "Infinitys" as Duration, attempts: 2 }), [10_000]);
});

test("a function sees the error", () => {
  const seen: unknown[] = [];
  const backoff: ResolvedRetry["backoff"] = (...args) => {
    seen.push(args);
    return "1s";
  };
  nextDelay({ ...policy, backoff }, 2, boom, half);
  assert.deepEqual(seen, [[2, boom]]);
});

test("a function that gives no duration, or throws, is reported, and the exponential wait is taken", () => {
  const broken = [
    () => "soon" as Duration,
    () => 5 as never,
    () => undefined as never,
    () => "-5s" as Duration,
    () => {
      throw new Error("bug");
    },
  ];
  for (const backoff of broken) {
    const problems: string[] = [];
    assert.equal(
      nextDelay({ ...policy, backoff }, 2, boom, half, (problem) => problems.push(problem)),
      2_000,
    );
    assert.match(problems.join(), /retry\.backoff for attempt 2: /);
  }
});

test("an error that is not to be retried ends the run", () => {
  const when = (error: unknown) => !(error instanceof TypeError);
  assert.deepEqual(waits({ when }, new TypeError("no")), []);
  assert.equal(waits({ when }).length, 4);
});

test("whatever a function throws, it ends nothing", () => {
  const backoff = () => {
    throw Object.create(null);
  };
  assert.equal(nextDelay({ ...policy, backoff, when: backoff }, 1, boom, half), 1_000);
});

test("a filter that throws is reported, and the error is retried", () => {
  const problems: string[] = [];
  const when = () => {
    throw new Error("bug");
  };
  assert.equal(
    nextDelay({ ...policy, when }, 1, boom, half, (problem) => problems.push(problem)),
    1_000,
  );
  assert.match(problems.join(), /retry\.when threw Error: bug/);
});

test("Abort ends the run before any policy is asked", () => {
  const when = () => assert.fail("asked");
  assert.equal(nextDelay({ ...policy, when }, 1, new Abort("enough"), half), undefined);
});

test("Retry goes before the filter, and its wait is taken as it is", () => {
  const strict = { ...policy, when: () => false, jitter: 1 };
  assert.equal(nextDelay(strict, 1, new Retry({ in: "2h" }), half), 7_200_000);
  assert.equal(nextDelay({ ...strict, jitter: 0 }, 1, new Retry(), half), 1_000);
  assert.equal(nextDelay(strict, 5, new Retry({ in: "2h" }), half), undefined, "it uses up an attempt");
});

test("jitter takes away its share at most, and never adds", () => {
  const random = fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true });
  const share = fc.double({ min: 0, max: 1, noNaN: true });
  fc.assert(
    fc.property(random, share, fc.integer({ min: 1, max: 2_000 }), (value, jitter, attempt) => {
      const full = nextDelay({ ...policy, attempts: 5_000 }, attempt, boom, half) as number;
      const delay = nextDelay({ ...policy, attempts: 5_000, jitter }, attempt, boom, () => value) as number;
      assert.ok(
        Number.isInteger(delay) && delay <= full && delay >= Math.floor(full * (1 - jitter)),
        `${delay} of ${full}`,
      );
    }),
  );
  assert.equal(nextDelay({ ...policy, jitter: 0.2 }, 1, boom, half), 900);
});

test("a wait of nothing stays nothing", () => assert.deepEqual(waits({ delayMs: 0 }), [0, 0, 0, 0]));
