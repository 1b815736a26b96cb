import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { CALL_BYTES, CALL_RECORDS, cutIntoCalls } from "../../streams/enqueue.ts";
import { toEntry } from "../../streams/entry.ts";
import { wholeMs } from "../../streams/scripts.ts";

const record = (bytes: number) => ({ body: "x".repeat(bytes), meta: "" });

describe("records are cut into calls", () => {
  test("of five hundred", () => {
    assert.deepEqual(
      cutIntoCalls(Array.from({ length: 1_100 }, () => record(1))).map((call) => call.length),
      [500, 500, 100],
    );
    assert.deepEqual(cutIntoCalls([]), []);
  });

  test("of 256 KiB, of which one that is larger goes alone", () => {
    const sizes = [100_000, 100_000, 100_000, 300_000, 5, 300_000, 262_143, 1, 1];
    const calls = cutIntoCalls(sizes.map(record)).map((call) => call.map(({ body }) => body.length));
    assert.deepEqual(calls, [[100_000, 100_000], [100_000], [300_000], [5], [300_000], [262_143, 1], [1]]);
  });

  test("by their bytes, not their characters", () => {
    const wide = { body: "€".repeat(50_000), meta: "" };
    assert.deepEqual(
      cutIntoCalls([wide, wide]).map((call) => call.length),
      [1, 1],
    );
  });

  test("none is lost, none moves, and no call is larger than it may be", () => {
    const sizes = fc.array(fc.oneof(fc.nat({ max: 50 }), fc.integer({ min: 100_000, max: 400_000 })), {
      maxLength: 60,
    });
    fc.assert(
      fc.property(sizes, (all) => {
        const records = all.map(record);
        const calls = cutIntoCalls(records);
        assert.deepEqual(calls.flat(), records);
        for (const call of calls) {
          const bytes = call.reduce((sum, { body }) => sum + body.length, 0);
          assert.ok(call.length > 0 && call.length <= CALL_RECORDS);
          assert.ok(call.length === 1 || bytes <= CALL_BYTES);
        }
      }),
      { numRuns: 50 },
    );
  });
});

test("milliseconds for a script are whole and within what Redis takes for a time, whatever they were", () => {
  const cases: [number, number][] = [
    [5, 5],
    [5.1, 6],
    [-5, 0],
    [-0.5, 0],
    [Number.NaN, 0],
    [Number.NEGATIVE_INFINITY, 0],
    [Number.POSITIVE_INFINITY, 8_640_000_000_000_000],
    [1e300, 8_640_000_000_000_000],
  ];
  for (const [given, expected] of cases) assert.ok(Object.is(wholeMs(given), expected), `${given}: ${wholeMs(given)}`);
  fc.assert(fc.property(fc.double(), (ms) => assert.match(String(wholeMs(ms)), /^\d{1,16}$/)));
});

describe("an entry is read", () => {
  const ours = [
    "v",
    "1",
    "run",
    "r",
    "task",
    "t",
    "attempt",
    "2",
    "key",
    "k",
    "expires",
    "9",
    "meta",
    "{}",
    "body",
    "[]",
  ];
  const whole = { v: "1", run: "r", task: "t", attempt: 2, key: "k", expires: 9, meta: "{}", body: "[]" };

  test("with its fields in our order, or in any other", () => {
    assert.deepEqual(toEntry(ours), whole);
    const pairs = Array.from({ length: 8 }, (_, index) => ours.slice(index * 2, index * 2 + 2));
    fc.assert(
      fc.property(fc.shuffledSubarray(pairs, { minLength: 8 }), (shuffled) =>
        assert.deepEqual(toEntry(shuffled.flat()), whole),
      ),
    );
  });

  test("with any field missing, unknown, doubled or named as a property of every object", () => {
    assert.deepEqual(toEntry([]), {
      v: "",
      run: "",
      task: "",
      attempt: Number.NaN,
      key: "",
      expires: 0,
      meta: "",
      body: "",
    });
    assert.deepEqual(toEntry(["__proto__", "x", "constructor", "y", "run", "a", "run", "b", "odd"]).run, "b");
    fc.assert(
      fc.property(fc.array(fc.string()), (fields) => {
        const entry = toEntry(fields);
        assert.equal(typeof entry.run, "string");
        assert.equal(typeof entry.attempt, "number");
      }),
    );
  });
});
