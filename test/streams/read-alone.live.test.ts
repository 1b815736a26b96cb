import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Redis } from "ioredis";
import { waitAndRead } from "../../streams/read.ts";
import { testRedis } from "../support/servers.ts";
import { connect, enqueueOne, freshLane, redis } from "./live-lane.ts";

const soon = { consumer: "w", count: 500, blockMs: 10 };

describe("a read on a connection of its own", () => {
  test("gives what the driver would give, texts of several bytes a character included", async () => {
    await using own = await connect();
    const lane = await freshLane(redis);
    const body = JSON.stringify({ name: "Zoë 漢字 💥", line: "a\r\nb" });
    await enqueueOne(lane, { body });
    await enqueueOne(lane);
    await redis.xadd(lane.keys.again, "*", "strange", "ü");
    const deliveries = await waitAndRead(own, lane.keys, soon);
    assert.deepEqual(
      deliveries.map(({ stream, entry }) => [stream, entry.v, entry.body]),
      [
        [2, "", '["strange","ü"]'],
        [1, "1", body],
        [1, "1", '{"a":1}'],
      ],
    );
  });

  test("takes an answer that comes in many pieces", async () => {
    await using own = await connect();
    const lane = await freshLane(redis);
    const bodies = Array.from({ length: 20 }, (_, n) => JSON.stringify("é".repeat(n * 2_000)));
    for (const body of bodies) await enqueueOne(lane, { body });
    const deliveries = await waitAndRead(own, lane.keys, soon);
    assert.deepEqual(
      deliveries.map(({ entry }) => entry.body),
      bodies,
    );
  });

  test("leaves the connection to the driver, before and after, also when it failed", async () => {
    await using own = await connect();
    const lane = await freshLane(redis);
    assert.equal(await own.ping(), "PONG");
    assert.deepEqual(await waitAndRead(own, lane.keys, soon), []);
    assert.equal(await own.echo("one"), "one");
    await redis.del(lane.keys.tasks);
    await assert.rejects(waitAndRead(own, lane.keys, soon), /^Error: NOGROUP/);
    assert.equal(await own.echo("two"), "two");
    assert.equal(own.stream.listenerCount("data"), 1);
  });

  test("fails when the connection closes under it, and the next one is made and read from", async () => {
    await using own = await connect();
    const lane = await freshLane(redis);
    const reading = waitAndRead(own, lane.keys, { ...soon, blockMs: 60_000 });
    const failed = assert.rejects(reading, /Connection is closed/);
    own.stream.destroy();
    await failed;
    await new Promise((resolve) => own.once("ready", resolve));
    await enqueueOne(lane);
    assert.equal((await waitAndRead(own, lane.keys, soon)).length, 1);
  });

  test("is woken by CLIENT UNBLOCK", async () => {
    await using own = await connect();
    const lane = await freshLane(redis);
    const id = await own.client("ID");
    const reading = waitAndRead(own, lane.keys, { ...soon, blockMs: 60_000 });
    while ((await redis.client("UNBLOCK", id)) === 0);
    assert.deepEqual(await reading, []);
  });

  test("is the driver's, on a client that speaks RESP3", async () => {
    const own = new Redis(await testRedis(), { protocol: 3 });
    try {
      await new Promise((resolve) => own.once("ready", resolve));
      const lane = await freshLane(redis);
      await enqueueOne(lane);
      assert.equal((await waitAndRead(own, lane.keys, soon)).length, 1);
    } finally {
      own.disconnect();
    }
  });
});
