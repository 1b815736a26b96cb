import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Delivery } from "../../streams/entry.ts";
import { FORMAT, type Lane } from "../../streams/lane.ts";
import { beat, leave, reclaim } from "../../streams/leases.ts";
import { cancel } from "../../streams/schedules.ts";
import { settle } from "../../streams/settle.ts";
import { entryFields } from "../support/entry.ts";
import {
  aWorker,
  enqueueOne,
  freshLane,
  LEASE_MS,
  lapse,
  privateRedis,
  redis,
  redisNow,
  succeeded,
  take,
  takeOne,
} from "./live-lane.ts";

const beatAs = (lane: Lane, consumer: string, leaseMs = LEASE_MS) => beat(lane.redis, lane.keys, { consumer, leaseMs });

test("the first beat registers a worker, and the next ones find it alive", async () => {
  const lane = await freshLane(redis);
  const first = await beatAs(lane, "w");
  assert.equal(first.wasAlive, false);
  assert.ok(Math.abs(first.nowMs - (await redisNow(redis))) < 1_000);
  assert.equal((await beatAs(lane, "w")).wasAlive, true);
  const expiry = Number(await redis.zscore(lane.keys.workers, "w"));
  assert.ok(expiry > first.nowMs + LEASE_MS - 1_000 && expiry < first.nowMs + LEASE_MS + 1_000);
});

test("a beat tells how the lane stands", async () => {
  const lane = await freshLane(redis);
  const dueAt = (await redisNow(redis)) + 60_000;
  await enqueueOne(lane);
  await enqueueOne(lane);
  await enqueueOne(lane, { dueAt });
  await enqueueOne(lane, { dueAt: dueAt + 1 });
  await redis.xadd(lane.keys.again, "*", ...entryFields("r"));
  const [, one] = (await take(lane, "w", 1)) as [Delivery, Delivery];
  await cancel(lane, { run: one.entry.run });
  const told = await beatAs(lane, "w");
  assert.deepEqual(
    { ...told, nowMs: 0, incarnation: "" },
    {
      wasAlive: false,
      nowMs: 0,
      held: 2,
      nextDueAt: dueAt,
      cancelRequests: 1,
      isPaused: false,
      incarnation: "",
      format: FORMAT,
    },
  );
  assert.match(told.incarnation, /^[0-9a-f]{12}$/);
  await redis.hset(lane.keys.meta, "paused", "1");
  assert.equal((await beatAs(lane, "w2")).isPaused, true);
  assert.equal((await beatAs(lane, "w2")).held, 0);
});

test("a beat works before the lane has any key", async () => {
  const lane = await freshLane(redis);
  await redis.del(lane.keys.tasks, lane.keys.again, lane.keys.meta);
  assert.equal((await beatAs(lane, "w")).held, 0);
  assert.equal((await beatAs(lane, "w")).wasAlive, true);
});

test("a worker whose lease has lapsed is told, even if nobody has taken from it yet", async () => {
  const lane = await freshLane(redis);
  await aWorker(lane, "w");
  await lapse(lane, "w");
  assert.equal((await beatAs(lane, "w")).wasAlive, false);
  assert.equal((await beatAs(lane, "w")).wasAlive, true);
});

test("a beat that comes late does not bring back a worker that left", async () => {
  const lane = await freshLane(redis);
  await enqueueOne(lane);
  await aWorker(lane, "w");
  await take(lane, "w");
  assert.equal(await leave(lane, "w"), "leaving");
  assert.equal((await beatAs(lane, "w")).wasAlive, false);
  assert.equal(await redis.zscore(lane.keys.workers, "w"), "0");
});

describe("a grace opens", () => {
  const graceOf = async (lane: Lane) => Number((await redis.hget(lane.keys.meta, "grace")) ?? 0);
  /** As if the last beat of the lane had been so long ago. */
  const ago = async (lane: Lane, ms: number) => redis.hset(lane.keys.meta, "last", (await redisNow(redis)) - ms);

  test("when the lane's beats were apart by more than half a lease, for one lease", async () => {
    const lane = await freshLane(redis);
    await aWorker(lane, "w");
    await ago(lane, LEASE_MS * 0.6);
    const { nowMs } = await beatAs(lane, "w2");
    assert.equal(await graceOf(lane), nowMs + LEASE_MS);
  });

  test("when the clock was set back", async () => {
    const lane = await freshLane(redis);
    await aWorker(lane, "w");
    await ago(lane, -LEASE_MS);
    await beatAs(lane, "w");
    assert.ok((await graceOf(lane)) > 0);
  });

  test("not while beats come as they should, nor on a fresh lane", async () => {
    const lane = await freshLane(redis);
    await aWorker(lane, "w");
    await ago(lane, LEASE_MS * 0.4);
    await beatAs(lane, "w2");
    assert.equal(await graceOf(lane), 0);
  });

  test("not when nobody has been there for an hour, so that a lane works at once when its only worker comes again", async () => {
    const lane = await freshLane(redis);
    await aWorker(lane, "w");
    assert.equal(await leave(lane, "w"), "gone");
    await ago(lane, 3_600_000);
    await beatAs(lane, "w2");
    assert.equal(await graceOf(lane), 0);
  });

  test("not for those who left of their own will", async () => {
    const lane = await freshLane(redis);
    const { run } = await enqueueOne(lane);
    await aWorker(lane, "w");
    await take(lane, "w");
    await leave(lane, "w");
    await ago(lane, 3_600_000);
    await beatAs(lane, "w2");
    assert.equal(await graceOf(lane), 0);
    const { taken } = await reclaim(lane, { consumer: "w2", leaseMs: LEASE_MS, room: 1 });
    assert.equal(taken[0]?.entry.run, run);
  });

  test("once: a worker that died an hour ago waits for one lease and no longer", async () => {
    const lane = await freshLane(redis);
    await enqueueOne(lane);
    await aWorker(lane, "dead");
    await take(lane, "dead");
    await redis.zadd(lane.keys.workers, (await redisNow(redis)) - 3_600_000, "dead");
    await ago(lane, 3_600_000);
    const lease = { consumer: "w", leaseMs: 300 };
    await beat(redis, lane.keys, lease);
    const begun = performance.now();
    let tries = 0;
    for (;;) {
      const { taken, isGrace } = await reclaim(lane, { ...lease, room: 1 });
      if (taken.length > 0) break;
      assert.ok(isGrace);
      tries += 1;
      assert.ok(performance.now() - begun < 2_000, "the grace was opened again and again");
      await new Promise((resolve) => setTimeout(resolve, 50));
      await beat(redis, lane.keys, lease);
    }
    assert.ok(tries > 0 && performance.now() - begun > 200);
  });
});

describe("cancel requests of runs that had ended when they were asked for", () => {
  const HOUR = 3_600_000;
  const mark = (lane: Lane, run: string, at: number) => redis.zadd(lane.keys.cancelled, at, run);

  test("are gone an hour later, when nothing older is left in the streams", async () => {
    const lane = await freshLane(redis);
    const now = await redisNow(redis);
    await mark(lane, "old", now - HOUR - 10_000);
    await mark(lane, "young", now - HOUR + 60_000);
    await enqueueOne(lane);
    assert.equal((await beatAs(lane, "w")).cancelRequests, 1);
    assert.deepEqual(await redis.zrange(lane.keys.cancelled, "0", "-1"), ["young"]);
  });

  test("stay while an entry that was there before them is, in either stream", async () => {
    for (const stream of ["tasks", "again"] as const) {
      const lane = await freshLane(redis);
      const now = await redisNow(redis);
      const asked = now - 5 * HOUR;
      await mark(lane, "r", asked);
      await redis.xadd(lane.keys[stream], `${asked - 1}-0`, ...entryFields("r"));
      await enqueueOne(lane);
      assert.equal((await beatAs(lane, "w")).cancelRequests, 1);
      const held = await take(lane, "w");
      await settle(lane, { consumer: "w", settlements: held.map((one) => succeeded(one)) });
      assert.equal((await beatAs(lane, "w")).cancelRequests, 0);
    }
  });
});

test("leases are beaten when memory is full", async () => {
  await using server = await privateRedis();
  const lane = await freshLane(server.redis);
  await enqueueOne(lane);
  await server.fill();
  await beatAs(lane, "w");
  await takeOne(lane, "w");
  await server.redis.script("FLUSH");
  const told = await beatAs(lane, "w");
  assert.deepEqual([told.wasAlive, told.held], [true, 1]);
});
