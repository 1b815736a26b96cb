import assert from "node:assert/strict";
import { test } from "node:test";
import { Redis } from "ioredis";
import { createLease, type Lease } from "../../../src/deliver/lease.ts";
import { openWorkLane } from "../../../src/deliver/work-lane.ts";
import { ensureLane, openLane } from "../../../streams/lane.ts";
import type { Beat } from "../../../streams/leases.ts";
import { eventually, testNamespace, testRedis } from "../../support/servers.ts";

const LEASE_MS = 1_000;

async function openLease(url: string | undefined) {
  const namespace = testNamespace();
  const redis = new Redis(await testRedis());
  await ensureLane(redis, namespace, "default");
  const workLane = openWorkLane(openLane({ redis, namespace, queue: "default", incarnation: "me" }), "me");
  const beats: Beat[] = [];
  const problems: string[] = [];
  const silences: number[] = [];
  const lease: Lease = createLease({
    workLanes: [workLane],
    redis,
    url,
    leaseMs: LEASE_MS,
    maxBlockMs: 10_000,
    elapsed: () => performance.now(),
    latestDeadline: () => 0,
    onBeat(lane, beat) {
      lane.isLeaseLost = false;
      beats.push(beat);
    },
    onSilence: () => silences.push(performance.now()),
    onTick() {},
    announce: (notice) => {
      if (notice.kind === "problem") problems.push(notice.what);
    },
  });
  await lease.begin();
  const close = lease.close;
  const dispose = async () => {
    await close();
    redis.disconnect();
  };
  return { workLane, beats, problems, silences, close, [Symbol.asyncDispose]: dispose };
}

/** Blocks the event loop: nothing of this thread runs meanwhile. */
function block(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

test("the lease outlives a blocked event loop, for the thread goes on beating", async () => {
  await using open = await openLease(await testRedis());
  await eventually(() => open.beats.length >= 3);
  block(LEASE_MS * 4);
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(open.silences, []);
  await eventually(() => open.beats.length >= 6);
  assert.ok(open.beats.slice(1).every((beat) => beat.wasAlive));
});

test("without a thread that gets through, the worker beats by itself", async () => {
  await using open = await openLease("redis://127.0.0.1:1");
  await eventually(() => open.beats.length >= 6);
  assert.ok(open.beats.slice(1).every((beat) => beat.wasAlive));
});

test("without a thread a blocked event loop loses the lease, and the worker learns of it at once", async () => {
  await using open = await openLease(undefined);
  block(LEASE_MS * 2);
  await eventually(() => open.silences.length === 1);
  await eventually(() => open.beats.slice(1).some((beat) => !beat.wasAlive));
});

test("no beat comes after the lease was closed", async () => {
  await using open = await openLease(await testRedis());
  await eventually(() => open.beats.length >= 2);
  await open.close();
  const redis = new Redis(await testRedis());
  await redis.zrem(open.workLane.lane.keys.workers, "me");
  await new Promise((resolve) => setTimeout(resolve, LEASE_MS)); // that nothing happens takes time
  assert.equal(await redis.zcard(open.workLane.lane.keys.workers), 0);
  redis.disconnect();
});
