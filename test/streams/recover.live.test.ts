import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Delivery } from "../../streams/entry.ts";
import { ensureLane, FORMAT, type Lane } from "../../streams/lane.ts";
import { heldBy, receiveAgain, reclaim, recover } from "../../streams/leases.ts";
import { waitAndRead } from "../../streams/read.ts";
import { settle } from "../../streams/settle.ts";
import { entryFields } from "../support/entry.ts";
import {
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
  started,
  succeeded,
  take,
  takeOne,
  types,
} from "./live-lane.ts";

const audit = (lane: Lane, more: Partial<Parameters<typeof recover>[1]> = {}) =>
  recover(lane, { consumer: "w", room: 100, stream: 1, from: "0-0", chunk: 100, ...more });

/** A lane with so many runs that were delivered to a consumer which was deleted since. */
async function orphans(count: number): Promise<{ lane: Lane; held: Delivery[] }> {
  const found = await laneHeldBy("gone", count);
  await redis.xgroup("DELCONSUMER", found.lane.keys.tasks, "workers", "gone");
  await aWorker(found.lane, "w");
  return found;
}

describe("recover", () => {
  test("finds what a deleted consumer held, and gives it to the caller under a token that its fence knows", async () => {
    const { lane, held } = await orphans(3);
    await enqueueOne(lane); // waits, and is no orphan
    const { taken, next } = await audit(lane);
    assert.deepEqual(
      taken.map(({ id, isSuspect }) => ({ id, isSuspect })),
      held.map(({ id }) => ({ id, isSuspect: false })),
    );
    assert.equal(next, "");
    assert.ok(taken.every(({ delivery }) => delivery >= 2));
    const settlements = taken.flatMap((one) => [started(one), succeeded(one)]);
    assert.equal((await settle(lane, { consumer: "w", settlements })).refused.size, 0);
    assert.deepEqual(await types(lane, held[0]?.entry.run), [
      "run.enqueued",
      "run.recovered",
      "run.started",
      "run.succeeded",
    ]);
    await assertLegal(lane);
  });

  test("gives a token that none of the earlier deliveries had, to the same consumer even", async () => {
    const lane = await freshLane(redis);
    await redis.xadd(lane.keys.tasks, "5000-0", ...entryFields("r"));
    let zombie = await takeOne(lane, "w");
    for (let i = 0; i < 5; i += 1) zombie = (await receiveAgain(redis, lane.keys, "w", zombie)) as Delivery;
    await redis.xgroup("DELCONSUMER", lane.keys.tasks, "workers", "w");
    const [recovered] = (await audit(lane)).taken as [Delivery];
    assert.ok(recovered.delivery > zombie.delivery && recovered.delivery < 65_536, `${recovered.delivery}`);
    const late = succeeded(zombie);
    assert.deepEqual([...(await settle(lane, { consumer: "w", settlements: [late] })).refused], [[late, "fenced"]]);
  });

  test("goes through a stream in chunks, and takes no more than there is room for", async () => {
    const { lane, held } = await orphans(10);
    const found: string[] = [];
    let from = "0-0";
    let calls = 0;
    do {
      const { taken, next } = await audit(lane, { from, chunk: 4, room: 3 });
      found.push(...taken.map(({ id }) => id));
      from = next;
      calls += 1;
    } while (from !== "");
    assert.deepEqual(
      found,
      held.map(({ id }) => id),
    );
    assert.equal(calls, 4);
    assert.deepEqual((await audit(lane)).taken, []);
  });

  test("never touches what anybody holds, even where held entries are gone from the stream", async () => {
    const lane = await freshLane(redis);
    await enqueueMany(lane, 20);
    const held = await take(lane, "alive", 20);
    await redis.xdel(lane.keys.tasks, ...held.slice(1, 15).map(({ id }) => id));
    assert.deepEqual((await audit(lane, { chunk: 3 })).taken, []);
    assert.deepEqual((await audit(lane)).taken, []);
    assert.deepEqual(await holdings(lane, "alive"), { alive: 20 });
  });

  test("looks through the other stream too", async () => {
    const lane = await freshLane(redis);
    await redis.xadd(lane.keys.again, "*", ...entryFields("r", { attempt: 3 }));
    await take(lane, "gone");
    await redis.xgroup("DELCONSUMER", lane.keys.again, "workers", "gone");
    await redis.hset(lane.keys.strikes, `2 ${(await redis.xrange(lane.keys.again, "-", "+"))[0]?.[0]}`, "1");
    const [taken] = (await audit(lane, { stream: 2 })).taken;
    assert.deepEqual([taken?.stream, taken?.entry.attempt, taken?.strikes, taken?.isSuspect], [2, 3, 1, true]);
  });

  test("finds nothing where there is no stream, no group, or nothing delivered", async () => {
    const lane = await freshLane(redis);
    await enqueueOne(lane);
    assert.deepEqual(await audit(lane), { next: "", taken: [] });
    await redis.xgroup("DESTROY", lane.keys.tasks, "workers");
    assert.deepEqual(await audit(lane), { next: "", taken: [] });
    await redis.del(lane.keys.tasks);
    assert.deepEqual(await audit(lane), { next: "", taken: [] });
  });

  test("works when memory is full", async () => {
    await using server = await privateRedis();
    const lane = await freshLane(server.redis);
    await enqueueOne(lane);
    await take(lane, "gone");
    await server.redis.xgroup("DELCONSUMER", lane.keys.tasks, "workers", "gone");
    await server.fill();
    await server.redis.script("FLUSH");
    assert.equal((await recover(lane, { consumer: "w", room: 1, stream: 1, from: "0-0", chunk: 9 })).taken.length, 1);
  });
});

describe("an entry whose delivery was lost on the way", () => {
  test("is found among what the consumer holds, and received again under a new token", async () => {
    const lane = await freshLane(redis);
    const { run } = await enqueueOne(lane);
    const lost = await takeOne(lane, "w"); // say that this answer never came
    const [held] = (await heldBy(redis, lane.keys, "w")) as [Delivery];
    assert.deepEqual(held, { stream: 1, id: lost.id, delivery: 1 } as never);
    const again = (await receiveAgain(redis, lane.keys, "w", held)) as Delivery;
    assert.deepEqual(again, { ...lost, delivery: 2, isSuspect: false });
    const late = succeeded(lost);
    assert.deepEqual([...(await settle(lane, { consumer: "w", settlements: [late] })).refused], [[late, "fenced"]]);
    assert.equal(
      (await settle(lane, { consumer: "w", settlements: [started(again), succeeded(again)] })).refused.size,
      0,
    );
    assert.deepEqual(await types(lane, run), ["run.enqueued", "run.recovered", "run.started", "run.succeeded"]);
  });

  test("stays a suspect, with its strikes, when it was taken over from a worker that died", async () => {
    const lane = await freshLane(redis);
    await enqueueOne(lane);
    await aWorker(lane, "dead");
    const struck = await takeOne(lane, "dead");
    await settle(lane, { consumer: "dead", settlements: [started(struck, "dead", true)] });
    await aWorker(lane, "w");
    await lapse(lane, "dead");
    await reclaim(lane, { consumer: "w", leaseMs: LEASE_MS, room: 1 }); // nor did this answer come
    const [held] = (await heldBy(redis, lane.keys, "w")) as [Delivery];
    const again = (await receiveAgain(redis, lane.keys, "w", held)) as Delivery;
    assert.deepEqual([again.delivery, again.isSuspect, again.strikes], [3, true, 1]);
  });

  test("is not taken back from another worker that owns it by now, nor at another delivery", async () => {
    const lane = await freshLane(redis);
    await enqueueOne(lane);
    await aWorker(lane, "w");
    const lost = await takeOne(lane, "w");
    await lapse(lane, "w");
    await aWorker(lane, "w2");
    await reclaim(lane, { consumer: "w2", leaseMs: LEASE_MS, room: 1 });
    assert.equal(await receiveAgain(redis, lane.keys, "w", lost), undefined);
    assert.deepEqual(await holdings(lane, "w", "w2"), { w: 0, w2: 1 });
    assert.equal(await receiveAgain(redis, lane.keys, "w2", { ...lost, delivery: 1 }), undefined);
    assert.equal((await receiveAgain(redis, lane.keys, "w2", { ...lost, delivery: 2 }))?.delivery, 3);
  });

  test("that is gone from the stream is told as lost, and held no more", async () => {
    const lane = await freshLane(redis);
    await enqueueOne(lane);
    const lost = await takeOne(lane, "w");
    await redis.xdel(lane.keys.tasks, lost.id);
    assert.equal(await receiveAgain(redis, lane.keys, "w", lost), undefined);
    assert.deepEqual(await holdings(lane, "w"), { w: 0 });
    const event = (await ledger(lane)).at(-1) as unknown as Record<string, unknown>;
    assert.deepEqual([event.type, event.entry, event.queue], ["run.lost", lost.id, "default"]);
    assert.equal(await receiveAgain(redis, lane.keys, "w", lost), undefined);
  });

  test("is received when memory is full", async () => {
    await using server = await privateRedis();
    const lane = await freshLane(server.redis);
    await enqueueOne(lane);
    const lost = await takeOne(lane, "w");
    await server.fill();
    await server.redis.script("FLUSH");
    assert.equal((await receiveAgain(server.redis, lane.keys, "w", lost))?.delivery, 2);
    await server.redis.xdel(lane.keys.tasks, lost.id);
    assert.equal(await receiveAgain(server.redis, lane.keys, "w", { ...lost, delivery: 2 }), undefined);
    assert.deepEqual(await types(lane), ["run.enqueued", "run.recovered", "run.lost"]);
  });
});

describe("read", () => {
  test("gives what is due again before what waits, at most so many of each", async () => {
    const lane = await freshLane(redis);
    for (let i = 0; i < 3; i += 1) await enqueueOne(lane);
    for (let i = 0; i < 3; i += 1) await redis.xadd(lane.keys.again, "*", ...entryFields(`r${i}`));
    const held = await take(lane, "w", 2);
    assert.deepEqual(
      held.map(({ stream }) => stream),
      [2, 2, 1, 1],
    );
  });

  test("waits for what comes, and no longer than it was told", async () => {
    await using own = await connect();
    const lane = await freshLane(redis);
    const begun = performance.now();
    assert.deepEqual(await waitAndRead(own, lane.keys, { consumer: "w", count: 1, blockMs: 50 }), []);
    assert.ok(performance.now() - begun >= 45);
    const waiting = waitAndRead(own, lane.keys, { consumer: "w", count: 1, blockMs: 5_000 });
    const { run } = await enqueueOne(lane);
    assert.equal((await waiting)[0]?.entry.run, run);
  });

  test("says that there is no group, where there is none", async () => {
    const lane = await freshLane(redis);
    await redis.del(lane.keys.tasks);
    await assert.rejects(take(lane, "w"), /NOGROUP/);
    await ensureLane(redis, lane.namespace, lane.queue);
    assert.deepEqual(await take(lane, "w"), []);
  });
});

describe("a lane is opened", () => {
  test("with what waited before there was a group, and without touching what is there", async () => {
    const lane = await freshLane(redis);
    await enqueueOne(lane);
    await take(lane, "w");
    const before = await redis.hgetall(lane.keys.meta);
    await ensureLane(redis, lane.namespace, lane.queue);
    assert.deepEqual(await redis.hgetall(lane.keys.meta), before);
    assert.deepEqual(await holdings(lane, "w"), { w: 1 });
    await redis.xgroup("DESTROY", lane.keys.tasks, "workers");
    await ensureLane(redis, lane.namespace, lane.queue);
    assert.equal((await take(lane, "w")).length, 1);
  });

  test("not when a newer version has taken it over", async () => {
    const lane = await freshLane(redis);
    await redis.hset(lane.keys.meta, "format", String(FORMAT + 1));
    await assert.rejects(ensureLane(redis, lane.namespace, lane.queue), /written in format 2.*update tasktrail/);
  });

  test("when memory is full, since the worker that starts then is the one that makes room", async () => {
    await using server = await privateRedis();
    const lane = await freshLane(server.redis);
    await enqueueOne(lane);
    await server.fill();
    await ensureLane(server.redis, lane.namespace, lane.queue);
    await ensureLane(server.redis, lane.namespace, "another");
    assert.equal((await take(lane, "w")).length, 1);
  });
});
