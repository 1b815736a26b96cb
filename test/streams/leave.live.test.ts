import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Delivery } from "../../streams/entry.ts";
import type { Lane } from "../../streams/lane.ts";
import { leave, reclaim, release } from "../../streams/leases.ts";
import { settle } from "../../streams/settle.ts";
import {
  assertLegal,
  aWorker,
  enqueueOne,
  freshLane,
  holdings,
  LEASE_MS,
  laneHeldBy,
  ledger,
  privateRedis,
  redis,
  started,
  succeeded,
  take,
  types,
} from "./live-lane.ts";

const reclaimAs = (lane: Lane, consumer: string, room = 100) => reclaim(lane, { consumer, leaseMs: LEASE_MS, room });

/** A lane with so many runs, all held by "w". */
async function heldBy(count: number): Promise<{ lane: Lane; held: Delivery[] }> {
  const found = await laneHeldBy("w", count);
  await aWorker(found.lane, "w");
  return found;
}

describe("a worker that leaves", () => {
  test("is gone at once when it holds nothing, and leaves no trace but a note", async () => {
    const { lane } = await heldBy(0);
    assert.equal(await leave(lane, "w"), "gone");
    assert.equal(await redis.zcard(lane.keys.workers), 0);
    assert.deepEqual(await redis.xinfo("CONSUMERS", lane.keys.tasks, "workers"), []);
    assert.deepEqual(await types(lane), ["worker.stopped"]);
  });

  test("passes on what it holds, in order, with no strike and no suspicion", async () => {
    const { lane, held } = await heldBy(5);
    const begun = held[0] as Delivery;
    await settle(lane, { consumer: "w", settlements: [started(begun)] });
    await enqueueOne(lane);
    assert.equal(await leave(lane, "w"), "leaving");
    await aWorker(lane, "next");
    const { taken } = await reclaimAs(lane, "next");
    assert.deepEqual(
      taken.map(({ id, delivery, isSuspect, strikes }) => ({ id, delivery, isSuspect, strikes })),
      held.map(({ id }) => ({ id, delivery: 2, isSuspect: false, strikes: 0 })),
    );
    await settle(lane, { consumer: "next", settlements: taken.flatMap((one) => [started(one), succeeded(one)]) });
    assert.deepEqual(await types(lane, begun.entry.run), [
      "run.enqueued",
      "run.started",
      "run.released",
      "run.started",
      "run.succeeded",
    ]);
    await assertLegal(lane);
  });

  test("is forgotten by others once they have taken all, and is not told as lost", async () => {
    const { lane } = await heldBy(2);
    await leave(lane, "w");
    await aWorker(lane, "next");
    await reclaimAs(lane, "next", 1);
    assert.equal(await redis.zscore(lane.keys.workers, "w"), "0");
    await reclaimAs(lane, "next", 1);
    assert.deepEqual(await redis.zrange(lane.keys.workers, "0", "-1"), ["next"]);
    assert.equal((await types(lane)).includes("worker.lost"), false);
  });

  test("is told once, however often it says so", async () => {
    const { lane } = await heldBy(1);
    assert.deepEqual([await leave(lane, "w"), await leave(lane, "w")], ["leaving", "leaving"]);
    await aWorker(lane, "next");
    await reclaimAs(lane, "next");
    assert.equal(await leave(lane, "w"), "gone");
    assert.equal((await types(lane)).filter((type) => type === "worker.stopped").length, 1);
  });

  test("may still settle what nobody has taken yet", async () => {
    const { lane, held } = await heldBy(1);
    const [delivery] = held as [Delivery];
    await leave(lane, "w");
    const settlements = [started(delivery), succeeded(delivery)];
    assert.equal((await settle(lane, { consumer: "w", settlements })).refused.size, 0);
    assert.equal(await leave(lane, "w"), "gone");
  });

  test("takes nothing from others any more", async () => {
    const { lane } = await heldBy(1);
    await leave(lane, "w");
    await aWorker(lane, "other");
    await enqueueOne(lane);
    await take(lane, "other");
    await leave(lane, "other");
    await aWorker(lane, "alive");
    assert.equal((await reclaimAs(lane, "w")).taken.length, 0);
    assert.equal((await reclaimAs(lane, "alive")).taken.length, 2);
  });

  test("that others had given up is gone without a word", async () => {
    const { lane } = await heldBy(0);
    await redis.zrem(lane.keys.workers, "w");
    assert.equal(await leave(lane, "w"), "gone");
    assert.deepEqual(await types(lane), []);
  });

  test("works when memory is full, and after SCRIPT FLUSH", async () => {
    await using server = await privateRedis();
    const lane = await freshLane(server.redis);
    await enqueueOne(lane);
    await aWorker(lane, "w");
    await take(lane, "w");
    await server.fill();
    await server.redis.script("FLUSH");
    assert.equal(await leave(lane, "w", { deadline: performance.now() + 1_000 }), "leaving");
  });

  test("leaves other lanes alone", async () => {
    const [{ lane }, other] = [await heldBy(1), await heldBy(1)];
    await leave(lane, "w");
    assert.notEqual(await redis.zscore(other.lane.keys.workers, "w"), "0");
    assert.deepEqual(await holdings(other.lane, "w"), { w: 1 });
  });
});

describe("a release", () => {
  test("passes on some entries, while the worker goes on with the others", async () => {
    const { lane, held } = await heldBy(4);
    const [first, ...rest] = held as [Delivery, Delivery, Delivery, Delivery];
    assert.deepEqual(await release(lane, "w", rest.slice(0, 2)), { releasedCount: 2 });
    await aWorker(lane, "next");
    const { taken } = await reclaimAs(lane, "next");
    assert.deepEqual(
      taken.map(({ id, isSuspect }) => ({ id, isSuspect })),
      rest.slice(0, 2).map(({ id }) => ({ id, isSuspect: false })),
    );
    const released = (await ledger(lane)).filter(({ type }) => type === "run.released") as unknown as {
      from: string;
    }[];
    assert.deepEqual(
      released.map(({ from }) => from),
      ["w", "w"],
    );
    assert.equal(
      (await settle(lane, { consumer: "w", settlements: [started(first), succeeded(first)] })).refused.size,
      0,
    );
    await settle(lane, { consumer: "next", settlements: taken.flatMap((one) => [started(one), succeeded(one)]) });
    assert.deepEqual(await redis.zrange(lane.keys.workers, "0", "-1"), ["w", "next"]);
    await assertLegal(lane);
  });

  test("makes what was released void for the worker, which may take it back like any other, under a new token", async () => {
    const { lane, held } = await heldBy(1);
    const [delivery] = held as [Delivery];
    await release(lane, "w", [delivery]);
    const ending = succeeded(delivery);
    assert.deepEqual([...(await settle(lane, { consumer: "w", settlements: [ending] })).refused], [[ending, "fenced"]]);
    const [back] = (await reclaimAs(lane, "w")).taken as [Delivery];
    assert.deepEqual([back.delivery, back.isSuspect], [3, false]);
    assert.deepEqual([...(await settle(lane, { consumer: "w", settlements: [ending] })).refused], [[ending, "fenced"]]);
    assert.equal(
      (await settle(lane, { consumer: "w", settlements: [started(back), succeeded(back)] })).refused.size,
      0,
    );
    await assertLegal(lane);
  });

  test("passes over what is no longer the worker's", async () => {
    const { lane, held } = await heldBy(2);
    const [first, second] = held as [Delivery, Delivery];
    const other = { ...second, delivery: 5 };
    assert.deepEqual(await release(lane, "w", [first, first, other]), { releasedCount: 1 });
    assert.deepEqual(await release(lane, "stranger", [second]), { releasedCount: 0 });
    assert.deepEqual(await release(lane, "w", []), { releasedCount: 0 });
    assert.deepEqual(await holdings(lane, "w"), { w: 1 });
  });
});
