import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { enqueue } from "../../streams/enqueue.ts";
import type { Delivery } from "../../streams/entry.ts";
import { derivedId, isRunId } from "../../streams/ids.ts";
import type { Lane } from "../../streams/lane.ts";
import { beat, reclaim } from "../../streams/leases.ts";
import { read } from "../../streams/read.ts";
import { settle } from "../../streams/settle.ts";
import { entryFields } from "../support/entry.ts";
import {
  aRun,
  assertLegal,
  aWorker,
  connect,
  enqueueMany,
  enqueueOne,
  freshLane,
  holdings,
  LEASE_MS,
  laneHeldBy,
  lapse,
  ledger,
  privateRedis,
  redis,
  redisNow,
  sameLane,
  started,
  succeeded,
  take,
  takeOne,
  types,
} from "./live-lane.ts";

const reclaimAs = (lane: Lane, consumer: string, room = 100, leaseMs = LEASE_MS) =>
  reclaim(lane, { consumer, leaseMs, room });

/** A lane whose worker "dead" holds so many runs, its lease lapsed; "w" is alive. */
async function afterACrash(count = 1): Promise<{ lane: Lane; held: Delivery[] }> {
  const found = await laneHeldBy("dead", count);
  for (const worker of ["dead", "w"]) await aWorker(found.lane, worker);
  await lapse(found.lane, "dead");
  return found;
}

describe("a worker whose lease has lapsed", () => {
  test("loses what it holds to another, in order, as suspects, and the ledger tells who had it", async () => {
    const { lane, held } = await afterACrash(3);
    const { taken, isGrace, lostCount } = await reclaimAs(lane, "w");
    assert.deepEqual([isGrace, lostCount], [false, 0]);
    assert.deepEqual(
      taken.map(({ id, delivery, isSuspect, strikes, stream }) => ({ id, delivery, isSuspect, strikes, stream })),
      held.map(({ id }) => ({ id, delivery: 2, isSuspect: true, strikes: 0, stream: 1 })),
    );
    assert.deepEqual(
      taken.map(({ entry }) => entry),
      held.map(({ entry }) => entry),
    );
    const [, , , event] = await ledger(lane);
    const told = event as unknown as Record<string, unknown>;
    assert.deepEqual(
      [told.type, told.from, told.to, told.attempt, told.delivery],
      ["run.redelivered", "dead", "w", 1, 2],
    );
    assert.ok(Math.abs((event?.at ?? 0) - (await redisNow(redis))) < 2_000);
    await assertLegal(lane);
  });

  test("is forgotten once it holds nothing, and its loss is recorded", async () => {
    const { lane } = await afterACrash(2);
    await reclaimAs(lane, "w", 1);
    assert.ok(await redis.zscore(lane.keys.workers, "dead"));
    await reclaimAs(lane, "w", 1);
    assert.equal(await redis.zscore(lane.keys.workers, "dead"), null);
    const consumers = (await redis.xinfo("CONSUMERS", lane.keys.tasks, "workers")) as unknown[][];
    assert.deepEqual(
      consumers.map((one) => one[1]),
      ["w"],
    );
    assert.equal((await types(lane)).filter((type) => type === "worker.lost").length, 1);
  });

  test("is forgotten at once when it never read", async () => {
    const lane = await freshLane(redis);
    await aWorker(lane, "dead");
    await aWorker(lane, "w");
    await lapse(lane, "dead");
    assert.deepEqual((await reclaimAs(lane, "w")).taken, []);
    assert.deepEqual(await redis.zrange(lane.keys.workers, "0", "-1"), ["w"]);
  });

  test("keeps what nobody has room for: by count, and by bytes", async () => {
    const { lane } = await afterACrash(5);
    assert.equal((await reclaimAs(lane, "w", 2.9)).taken.length, 2);
    assert.equal((await reclaimAs(lane, "w", 0)).taken.length, 0);
    assert.deepEqual(await holdings(lane, "w", "dead"), { w: 2, dead: 3 });

    const large = await freshLane(redis);
    await enqueue(
      large,
      Array.from({ length: 5 }, () => aRun(large, { body: `"${"x".repeat(400_000)}"` })),
    );
    await aWorker(large, "dead");
    await take(large, "dead");
    await aWorker(large, "w");
    await lapse(large, "dead");
    assert.equal((await reclaimAs(large, "w")).taken.length, 3);
  });

  test("never loses to itself", async () => {
    const { lane } = await afterACrash();
    const { taken } = await reclaimAs(lane, "dead");
    assert.deepEqual(taken, []);
    assert.deepEqual(await holdings(lane, "dead"), { dead: 1 });
    assert.ok(await redis.zscore(lane.keys.workers, "dead"));
  });

  test("that struck a run passes the strikes on", async () => {
    const { lane, held } = await afterACrash();
    await redis.hset(lane.keys.strikes, `1 ${held[0]?.id}`, "2");
    const { taken } = await reclaimAs(lane, "w");
    assert.deepEqual([taken[0]?.strikes, taken[0]?.isSuspect], [2, true]);
  });

  test("loses due retries too, which lie in the other stream", async () => {
    const { lane } = await afterACrash();
    await redis.xadd(lane.keys.again, "*", ...entryFields("r", { attempt: 2 }));
    await take(lane, "dead");
    const { taken } = await reclaimAs(lane, "w");
    assert.deepEqual(
      taken.map(({ stream }) => stream),
      [1, 2],
    );
    assert.equal(taken[1]?.entry.attempt, 2);
  });
});

test("a worker that is alive loses nothing", async () => {
  const lane = await freshLane(redis);
  await enqueueOne(lane);
  await aWorker(lane, "alive");
  await take(lane, "alive");
  await aWorker(lane, "w");
  assert.deepEqual((await reclaimAs(lane, "w")).taken, []);
  assert.deepEqual(await holdings(lane, "alive", "w"), { alive: 1, w: 0 });
});

test("two that reclaim at the same time never get the same entry", async () => {
  const { lane } = await afterACrash(50);
  await aWorker(lane, "w2");
  const both = await Promise.all([reclaimAs(lane, "w", 30), reclaimAs(sameLane(lane), "w2", 30)]);
  const ids = both.flatMap(({ taken }) => taken.map(({ id }) => id));
  assert.equal(ids.length, 50);
  assert.equal(new Set(ids).size, 50);
});

describe("a consumer that holds entries and has no lease", () => {
  test("is adopted: it gets one, and loses its entries only when that lapses", async () => {
    const lane = await freshLane(redis);
    await enqueueOne(lane);
    await take(lane, "ghost");
    await aWorker(lane, "w");
    const { taken } = await reclaimAs(lane, "w");
    assert.deepEqual(taken, []);
    assert.ok(Number(await redis.zscore(lane.keys.workers, "ghost")) > (await redisNow(redis)));
    await lapse(lane, "ghost");
    assert.equal((await reclaimAs(lane, "w")).taken.length, 1);
  });

  test("of a lease that a clock set back has put far off, has it cut to the longest of the lane", async () => {
    const { lane } = await afterACrash();
    const now = await redisNow(redis);
    await redis.zadd(lane.keys.workers, now + 3_600_000, "dead");
    await reclaimAs(lane, "w");
    const expiry = Number(await redis.zscore(lane.keys.workers, "dead"));
    assert.ok(expiry >= now && expiry <= now + LEASE_MS + 1_000);
  });

  test("of a lease longer than the caller's keeps it", async () => {
    const lane = await freshLane(redis);
    await enqueueOne(lane);
    await aWorker(lane, "slow", 600_000);
    await take(lane, "slow");
    const expiry = await redis.zscore(lane.keys.workers, "slow");
    await aWorker(lane, "quick", 1_000);
    assert.deepEqual((await reclaimAs(lane, "quick", 10, 1_000)).taken, []);
    assert.equal(await redis.zscore(lane.keys.workers, "slow"), expiry);
  });
});

describe("while Redis itself was away", () => {
  test("nobody takes anything: without a beat of late, and in the grace that the next beat opens", async () => {
    const { lane } = await afterACrash();
    await redis.hset(lane.keys.meta, "last", (await redisNow(redis)) - LEASE_MS);
    assert.equal((await reclaimAs(lane, "w")).isGrace, true);
    await aWorker(lane, "w");
    assert.equal((await reclaimAs(lane, "w")).isGrace, true);
    assert.deepEqual(await holdings(lane, "dead"), { dead: 1 });
    await redis.hset(lane.keys.meta, "grace", (await redisNow(redis)) - 1);
    assert.equal((await reclaimAs(lane, "w")).taken.length, 1);
  });

  test("a grace that a clock set back has put far off does not count", async () => {
    const { lane } = await afterACrash();
    await redis.hset(lane.keys.meta, "grace", (await redisNow(redis)) + 86_400_000);
    assert.equal((await reclaimAs(lane, "w")).taken.length, 1);
  });

  test("none of a hundred runs moves between workers that live on, though all their leases lapsed", async () => {
    await using server = await privateRedis();
    const lane = await freshLane(server.redis);
    const leaseMs = 400;
    const workers = await Promise.all(
      ["a", "b", "c", "d"].map(async (consumer) => ({ consumer, redis: await connect(server.url), isStopped: false })),
    );
    await enqueueMany(lane, 100);
    for (const { consumer, redis: own } of workers) {
      await beat(own, lane.keys, { consumer, leaseMs });
      assert.equal((await read(own, lane.keys, { consumer, count: 25 })).length, 25);
    }
    const loops = workers.map(async (worker) => {
      const own = sameLane(lane, worker.redis);
      while (!worker.isStopped) {
        await Promise.all([
          beat(worker.redis, lane.keys, { consumer: worker.consumer, leaseMs }),
          reclaim(own, { consumer: worker.consumer, leaseMs, room: 100 }),
          delay(leaseMs / 4),
        ]);
      }
    });
    try {
      for (let stall = 0; stall < 3; stall += 1) {
        await delay(200);
        await server.redis.call("DEBUG", "SLEEP", "0.6");
      }
      await delay(300);
    } finally {
      for (const worker of workers) worker.isStopped = true;
      await Promise.allSettled(loops);
      for (const worker of workers) worker.redis.disconnect();
    }
    await Promise.all(loops);
    assert.deepEqual(await holdings(lane, "a", "b", "c", "d"), { a: 25, b: 25, c: 25, d: 25 });
    assert.equal((await types(lane)).filter((type) => type === "run.redelivered").length, 0);
  });
});

test("an entry that is gone while it is held is told as lost, and held no more", async () => {
  const { lane, held } = await afterACrash(2);
  await redis.xdel(lane.keys.tasks, held[0]?.id ?? "");
  await redis.hset(lane.keys.strikes, `1 ${held[0]?.id}`, "1");
  const { taken, lostCount } = await reclaimAs(lane, "w");
  assert.deepEqual([taken.length, lostCount], [1, 1]);
  assert.deepEqual(await holdings(lane, "dead", "w"), { dead: 0, w: 1 });
  const event = (await ledger(lane)).find(({ type }) => type === "run.lost") as unknown as Record<string, unknown>;
  assert.deepEqual([event.entry, event.from], [held[0]?.id, "dead"]);
  assert.equal(await redis.exists(lane.keys.strikes), 0);
});

test("a reclaim whose answer was lost is made good by asking again: nothing is taken twice, and batches keep tokens of their own", async () => {
  const { lane } = await afterACrash(3);
  await reclaimAs(lane, "w", 2); // say that this answer was lost
  assert.equal((await reclaimAs(lane, "w", 2)).taken.length, 1);
  await ledger(lane); // asserts that no token is shared
});

test("reclaiming works without groups and with strangers' entries, which get the run ids that a worker gives them", async () => {
  const lane = await freshLane(redis);
  await redis.del(lane.keys.again);
  await redis.xadd(lane.keys.tasks, "*", "attempt", "1e5", "meta", '{"traceparent":"zz');
  await redis.xadd(lane.keys.tasks, "*", "e", ["1", aRun(lane).run, "t", "1", "", "0", "{}"].join("\0")); // its body is missing
  const odd = { task: 'q"\\\u0001', attempt: "007", meta: '{"traceparent":"zz' };
  await redis.xadd(lane.keys.tasks, "*", ...entryFields("✓", odd));
  await aWorker(lane, "dead");
  const args = ["GROUP", "workers", "dead", "COUNT", "9", "STREAMS", lane.keys.tasks, ">"];
  await redis.call("XREADGROUP", ...args);
  await aWorker(lane, "w");
  await lapse(lane, "dead");
  const { taken } = await reclaimAs(lane, "w");
  const ids = taken.map(({ id }) => derivedId(lane.keys.tag, "1", id));
  assert.deepEqual(ids.map(isRunId), [true, true, true]);
  const events = (await ledger(lane)) as unknown as Record<string, unknown>[];
  assert.deepEqual(
    events.map(({ type, run, task, attempt }) => [type, run, task, attempt]),
    [
      ["run.redelivered", ids[0], "(none)", 0],
      ["run.redelivered", ids[1], "(none)", 0],
      ["run.redelivered", ids[2], 'q"\\\u0001', 0],
      ["worker.lost", undefined, undefined, undefined],
    ],
  );
});

test("lanes do not touch each other", async () => {
  const { lane } = await afterACrash();
  const other = await afterACrash();
  await reclaimAs(lane, "w");
  assert.deepEqual(await holdings(other.lane, "dead", "w"), { dead: 1, w: 0 });
});

test("with a full memory for longer than a lease nothing moves between the living, and the dead still lose", async () => {
  await using server = await privateRedis();
  const lane = await freshLane(server.redis);
  const leaseMs = 300;
  await enqueueMany(lane, 20);
  for (const consumer of ["a", "b", "dead"]) await aWorker(lane, consumer, leaseMs);
  await take(lane, "a", 8);
  await take(lane, "b", 8);
  await take(lane, "dead", 4);
  await server.fill();
  const until = performance.now() + leaseMs * 4;
  const taken: Delivery[] = [];
  while (performance.now() < until) {
    for (const consumer of ["a", "b"]) {
      await beat(server.redis, lane.keys, { consumer, leaseMs });
      taken.push(...(await reclaim(lane, { consumer, leaseMs, room: 10 })).taken);
    }
    await delay(leaseMs / 6);
  }
  assert.equal(taken.length, 4);
  assert.ok(taken.every(({ delivery }) => delivery === 2));
  await server.empty();
  assert.equal((await types(lane)).filter((type) => type === "run.redelivered").length, 4);
});

test("poison is counted in strikes: of all that a crashed worker held, only what it ran alone", async () => {
  const { lane, held } = await afterACrash(3);
  for (let crash = 1; crash <= 3; crash += 1) {
    const worker = `w${crash}`;
    await aWorker(lane, worker);
    const { taken } = await reclaimAs(lane, worker);
    const poison = taken.find(({ id }) => id === held[1]?.id) as Delivery;
    assert.equal(poison.strikes, crash - 1);
    await settle(lane, { consumer: worker, settlements: [started(poison, worker, true)] });
    await lapse(lane, worker); // it dies of it
    assert.ok(taken.filter(({ id }) => id !== poison.id).every(({ strikes }) => strikes === 0));
  }
  await aWorker(lane, "last");
  const { taken } = await reclaimAs(lane, "last");
  assert.deepEqual(taken.map(({ strikes }) => strikes).sort(), [0, 0, 3]);
  await settle(lane, { consumer: "last", settlements: taken.flatMap((one) => [started(one), succeeded(one)]) });
  assert.equal(await redis.exists(lane.keys.strikes), 0);
  await assertLegal(lane);
});

test("what a worker read just before it was reaped is not lost", async () => {
  const lane = await freshLane(redis);
  await enqueueOne(lane);
  await aWorker(lane, "w");
  await aWorker(lane, "sleepy");
  await lapse(lane, "sleepy");
  await reclaimAs(lane, "w"); // reaps it
  await takeOne(lane, "sleepy"); // it wakes, reads, and is killed before it beats
  await reclaimAs(lane, "w"); // adopts it
  await lapse(lane, "sleepy");
  assert.equal((await reclaimAs(lane, "w")).taken.length, 1);
});
