import assert from "node:assert/strict";
import { test } from "node:test";
import { createCoalescer } from "../../../src/enqueue/coalesce.ts";
import { createPlainRecords } from "../../../src/enqueue/plain-record.ts";
import { type Lane, openLane } from "../../../streams/lane.ts";

const FIXED_ARGS = 6;
const plainRecord = createPlainRecords();
const aRecord = (n: number) =>
  plainRecord(`run-${n}`, "1", { task: "t", nowMs: 1, parent: undefined, traceparent: undefined, isOfMany: false });

/** A coalescer whose calls are answered when the test says so. */
function coalescing() {
  const calls: { readonly size: number; readonly answer: (reply: unknown) => void }[] = [];
  const redis = {
    status: "ready",
    evalsha: (_sha: string, keyCount: number, given: readonly string[]) =>
      new Promise((answer) => calls.push({ size: given.length - keyCount - FIXED_ARGS, answer })),
  } as unknown as Lane["redis"];
  const lane = openLane({ redis, namespace: "n", queue: "q", incarnation: "i" });
  lane.fullness.asks(); // else the first call asks, with a key more
  const coalescer = createCoalescer({ lane, answerWithinMs: 5_000, onCall() {}, onTaken() {} });
  const landed: number[] = [];
  const add = (count: number) =>
    Promise.all(
      Array.from({ length: count }, async (_, n) => {
        await coalescer.add(aRecord(n), Number.POSITIVE_INFINITY);
        landed.push(n);
      }),
    );
  const answer = async (at: number) => {
    calls[at]?.answer(["ok", Date.now(), "", "", "1-0"]);
    await new Promise((resolve) => setImmediate(resolve));
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { calls, landed, add, answer, sizes: () => calls.map(({ size }) => size) };
}

/** Until what was gathered in this tick has been sent. */
const turn = () => new Promise((resolve) => setImmediate(resolve));

test("what comes in one tick goes as one call, and many records as two, so that neither side waits for the other", async () => {
  for (const [count, expected] of [
    [1, [1]],
    [199, [199]],
    [256, [128, 128]],
    [1_500, [500, 500, 500]],
  ] as const) {
    const { calls, add, answer, sizes, landed } = coalescing();
    const adding = add(count);
    await turn();
    assert.deepEqual(sizes(), expected);
    for (let at = 0; at < calls.length; at += 1) await answer(at);
    await adding;
    assert.equal(landed.length, count);
  }
});

test("what comes while a call is on its way is gathered, and goes before that is answered", async () => {
  const { add, answer, sizes } = coalescing();
  const all = [add(1)];
  await turn();
  all.push(add(300));
  await turn();
  all.push(add(2), add(3));
  await turn();
  assert.deepEqual(sizes(), [1, 300, 5]);
  for (const at of [2, 0, 1]) await answer(at);
  await Promise.all(all);
});

test("no more than sixteen calls are on their way, and what is left goes once there is room", async () => {
  const { add, answer, sizes } = coalescing();
  const all: Promise<unknown>[] = [];
  for (let n = 0; n < 18; n += 1) {
    all.push(add(1));
    await turn();
  }
  assert.equal(sizes().length, 16);
  await answer(0);
  assert.deepEqual(sizes().slice(16), [2]);
  for (let at = 1; at < 17; at += 1) await answer(at);
  await Promise.all(all);
});
