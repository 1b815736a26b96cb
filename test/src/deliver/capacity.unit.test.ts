import assert from "node:assert/strict";
import { test } from "node:test";
import { createCapacity } from "../../../src/deliver/capacity.ts";
import type { Hold } from "../../../src/deliver/work-lane.ts";

function fakeHold(isSuspect = false): Hold {
  return { phase: "waiting", delivery: { isSuspect, entry: { body: "", meta: "" } } } as unknown as Hold;
}

function open(concurrency: number) {
  const clock = { now: 0 };
  const capacity = createCapacity(concurrency, () => clock.now);
  const take = (count: number, isSuspect = false) =>
    Array.from({ length: count }, () => {
      const held = fakeHold(isSuspect);
      capacity.took(held);
      return held;
    });
  return { clock, capacity, take };
}

test("there is room for what slots are free, and nothing is read ahead of slow tasks", () => {
  const { clock, capacity, take } = open(10);
  assert.equal(capacity.room(), 10);
  const holds = take(4);
  assert.equal(capacity.room(), 6);
  for (const held of holds) capacity.shift(held, "running");
  assert.equal(capacity.room(), 6);
  clock.now += 10_000;
  for (const held of holds) capacity.shift(held, "settling");
  assert.equal(capacity.room(), 10);
  for (const held of holds) capacity.shift(held, "gone");
  clock.now += 1_000;
  assert.equal(capacity.room(), 10);
});

test("fast tasks are read ahead by about 20 ms of work, up to a bound", () => {
  const { clock, capacity, take } = open(10);
  for (let round = 0; round < 100; round += 1) {
    const holds = take(100);
    clock.now += 10;
    for (const held of holds) capacity.shift(held, "running");
    for (const held of holds) capacity.shift(held, "gone");
    capacity.room();
  }
  const room = capacity.room();
  assert.ok(room > 180 && room < 230, String(room)); // 10 a ms, for 20 ms, and the slots
  clock.now += 5_000;
  assert.equal(capacity.room(), 10);
});

test("how long entries are waited for says nothing of how fast they are worked", () => {
  const { clock, capacity, take } = open(1);
  for (let round = 0; round < 1_000; round += 1) {
    const [held] = take(1) as [Hold];
    capacity.shift(held, "running");
    clock.now += 0.1;
    capacity.shift(held, "settling");
    clock.now += 50;
    capacity.shift(held, "gone");
  }
  const room = capacity.room();
  assert.ok(room > 150 && room < 230, String(room));
});

test("outcomes that Redis has not taken use up the room past one per slot", () => {
  const { capacity, take } = open(10);
  const settle = (count: number) => {
    for (const held of take(count)) capacity.shift(held, "settling");
  };
  settle(10);
  assert.equal(capacity.room(), 10);
  settle(10);
  assert.equal(capacity.room(), 0);
});

test("suspects that wait for each other keep no slot from others, and there are never more of them than slots", () => {
  const { capacity, take } = open(10);
  take(4, true);
  assert.equal(capacity.room(), 10);
  assert.equal(capacity.roomForOthers(), 6);
  take(6, true);
  assert.equal(capacity.roomForOthers(), 0);
});

test("who waits for room is woken by it, or by the abort", async () => {
  const { capacity, take } = open(1);
  const [held] = take(1) as [Hold];
  const stop = new AbortController();
  const woken: unknown[] = [];
  const waiting = capacity.whenRoom(stop.signal).then(() => woken.push("room"));
  await Promise.resolve();
  assert.equal(woken.length, 0);
  capacity.shift(held, "gone");
  await waiting;
  take(1);
  const aborted = capacity.whenRoom(stop.signal).then(() => woken.push("abort"));
  stop.abort();
  await aborted;
  assert.deepEqual(woken, ["room", "abort"]);
});
