import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { Redis } from "ioredis";
import { openRedis, ready } from "../../streams/connect.ts";
import { enqueue } from "../../streams/enqueue.ts";
import type { Delivery } from "../../streams/entry.ts";
import { CallFailed, ensureLane, laneIncarnation, listQueues, openLane } from "../../streams/lane.ts";
import { heldBy, reclaim } from "../../streams/leases.ts";
import { cancel, promote } from "../../streams/schedules.ts";
import { settle } from "../../streams/settle.ts";
import { testNamespace, testRedis } from "../support/servers.ts";
import {
  aRun,
  assertLegal,
  aWorker,
  connect,
  enqueueOne,
  failed,
  freshLane,
  LEASE_MS,
  lapse,
  ledger,
  privateRedis,
  sameLane,
  started,
  succeeded,
  take,
} from "./live-lane.ts";

let url: string;
let redis: Redis;
before(async () => {
  url = await testRedis();
  redis = await connect(url);
});
after(() => redis.disconnect());

describe("a connection that is cut again and again, while calls are on their way", () => {
  test("doubles no run and no outcome, and loses none", async () => {
    await using server = await privateRedis();
    await using unlucky = await connect(server.url);
    const calm = await freshLane(server.redis);
    const lane = sameLane(calm, unlucky);
    let isOver = false;
    let cuts = 0;
    const cutting = (async () => {
      while (!isOver) {
        if (unlucky.status === "ready")
          cuts += Number(await server.redis.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"));
        await delay(7);
      }
    })();
    try {
      const records = Array.from({ length: 300 }, (_, index) =>
        aRun(lane, index % 5 === 0 ? { key: `k${index}` } : {}),
      );
      await Promise.all(records.map((record) => enqueue(lane, [record])));
      const held = await take(calm, "w", 1_000);
      assert.deepEqual(new Set(held.map(({ entry }) => entry.run)), new Set(records.map(({ run }) => run)));
      assert.equal(held.length, 300);
      const outcome = (one: Delivery, index: number) => (index % 3 === 0 ? failed(one, 1) : succeeded(one));
      const settled = await Promise.all(
        held.map((one, index) => settle(lane, { consumer: "w", settlements: [started(one), outcome(one, index)] })),
      );
      assert.ok(settled.every(({ refused }) => refused.size === 0));
    } finally {
      isOver = true;
      await cutting;
    }
    assert.ok(cuts > 3, `${cuts} cuts`);
    assert.equal((await promote(calm)).movedCount, 100);
    assert.equal(await server.redis.xlen(calm.keys.tasks), 0);
    assert.equal((await ledger(calm)).length, 300 + 600 + 100);
    await assertLegal(calm);
  });
});

test("nothing lands after a call was given up: Redis, slow to wake, refuses it as late", async () => {
  await using server = await privateRedis();
  await using client = await connect(server.url);
  const lane = sameLane(await freshLane(server.redis), client);
  await enqueueOne(lane); // learns the time
  await server.redis.client("PAUSE", 400, "ALL");
  await assert.rejects(enqueue(lane, [aRun(lane)], { deadline: performance.now() + 100 }), (error: CallFailed) => {
    assert.ok(error instanceof CallFailed);
    return error.wasSent;
  });
  await server.redis.ping(); // comes after the pause, and after what had waited in it
  await enqueueOne(lane);
  assert.equal((await take(lane, "w")).length, 2);
});

test("a call is tried until Redis is back, on whatever connection that takes", async () => {
  await using server = await privateRedis();
  await using client = await connect(server.url);
  const lane = sameLane(await freshLane(server.redis), client);
  await enqueueOne(lane);
  client.disconnect();
  assert.equal((await enqueueOne(lane)).enqueued.existing.size, 0);
  assert.equal((await take(lane, "w")).length, 2);
});

test("a client that a user made, with the driver's defaults, serves for everything", async () => {
  const client = await openRedis(() => new Redis(url), "command");
  try {
    assert.ok(await ready(client, 5_000));
    const namespace = testNamespace();
    await ensureLane(client, namespace, "q");
    const lane = openLane({ redis: client, namespace, queue: "q", incarnation: "me" });
    const [{ run }, other] = [
      await enqueueOne(lane, { key: "k" }),
      await enqueueOne(lane, { dueAt: Date.now() + 60_000 }),
    ];
    assert.deepEqual([...(await enqueueOne(lane, { key: "k" })).enqueued.existing], [[0, run]]);
    await aWorker(lane, "w");
    const [delivery] = (await take(lane, "w")) as [Delivery];
    assert.equal(delivery.entry.run, run);
    assert.deepEqual(await heldBy(client, lane.keys, "w"), [{ stream: 1, id: delivery.id, delivery: 1 }]);
    await aWorker(lane, "w2");
    await lapse(lane, "w");
    const [taken] = (await reclaim(lane, { consumer: "w2", leaseMs: LEASE_MS, room: 1 })).taken as [Delivery];
    await settle(lane, { consumer: "w2", settlements: [started(taken), succeeded(taken)] });
    assert.equal(await cancel(lane, { run: other.run }), "cancelled");
    assert.equal((await assertLegal(lane)).size, 2);
  } finally {
    client.disconnect();
  }
});

describe("a namespace", () => {
  test("knows the queues that were opened, by name", async () => {
    const namespace = testNamespace();
    for (const queue of ["b", "a", "b"]) await ensureLane(redis, namespace, queue);
    assert.deepEqual(await listQueues(redis, namespace), ["a", "b"]);
    assert.deepEqual(await listQueues(redis, testNamespace()), []);
  });

  test("tells of a lane's life when memory is full: the archive makes room", async () => {
    await using server = await privateRedis();
    const lane = await freshLane(server.redis);
    const life = await laneIncarnation(server.redis, lane.keys);
    await server.fill();
    assert.equal(await laneIncarnation(server.redis, lane.keys), life);
  });

  test("has lanes of which each has one life, until Redis forgets it", async () => {
    const lane = await freshLane(redis);
    const first = await laneIncarnation(redis, lane.keys);
    await ensureLane(redis, lane.namespace, lane.queue);
    assert.equal(await laneIncarnation(redis, lane.keys), first);
    await redis.del(lane.keys.meta);
    assert.notEqual(await laneIncarnation(redis, lane.keys), first);
  });
});
