import assert from "node:assert/strict";
import { test } from "node:test";
import { createBell } from "../../../src/bell.ts";
import { createCurrent } from "../../../src/schedule/keep-current.ts";
import { createRedisClock } from "../../../streams/lane.ts";

const redis = { disconnect() {} } as unknown as Parameters<typeof createCurrent>[0]["redis"];

/** A machine whose clock can be set, and Redis' own time by which it is corrected. */
function machine() {
  let elapsed = 1_000;
  let wrongBy = 0;
  let refreshCount = 0;
  const clock = { now: () => 1_700_000_000_000 + elapsed + wrongBy, elapsed: () => elapsed };
  const corrected = createRedisClock(clock.now);
  const redisNow = () => 1_700_000_000_000 + elapsed;
  const bell = createBell();
  const current = createCurrent({
    redisNow: () => 0,
    clock,
    redis,
    bell,
    async refresh() {
      refreshCount += 1;
      corrected.learn(redisNow(), elapsed, elapsed);
    },
    failed() {},
  });
  const pass = (ms: number) => {
    elapsed += ms;
  };
  const setClock = (ms: number) => {
    wrongBy += ms;
  };
  return { current, corrected, redisNow, bell, pass, setClock, refreshes: () => refreshCount };
}

for (const jump of [300_000, -300_000, 80]) {
  test(`after a clock was set by ${jump} ms nothing is known until Redis was asked, and then its time is right`, async () => {
    const { current, corrected, redisNow, bell, pass, setClock, refreshes } = machine();
    const stopping = new AbortController();
    const kept = current.keep(stopping.signal);
    await new Promise(setImmediate);
    assert.equal(current.isKnown(), true);
    pass(5_000);
    assert.equal(current.isKnown(), true);
    setClock(jump);
    assert.equal(current.isKnown(), false);
    bell.ring();
    await new Promise(setImmediate);
    assert.equal(current.isKnown(), true);
    assert.equal(refreshes(), 2);
    assert.equal(corrected.now(), redisNow());
    stopping.abort();
    await kept;
  });
}

test("before the first refresh nothing is known", () => {
  const { current, pass } = machine();
  pass(10);
  assert.equal(current.isKnown(), false);
  assert.equal(current.ageMs(), 10);
});
