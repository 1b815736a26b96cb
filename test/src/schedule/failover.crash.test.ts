import assert from "node:assert/strict";
import { test } from "node:test";
import type { Redis } from "ioredis";
import { startRedis } from "../../../src/dev/start-redis.ts";
import { ready } from "../../../streams/connect.ts";
import { cronRunId } from "../../../streams/ids.ts";
import { openAddress } from "../../crash/failover.ts";
import { connect } from "../../streams/live-lane.ts";
import { eventually, testNamespace } from "../../support/servers.ts";
import { outcomeOf, testScheduler } from "./rig.ts";

const MINUTE = 60_000;
// Instants in the past: a slot that is yet to come is refused by Redis' own clock.
const start = Date.parse("2026-03-01T00:00:00Z");

/** Waits until the replica has all that the primary has taken by now, from whomever. */
async function hasArrived(redis: Redis): Promise<void> {
  await redis.set("{failover}:mark", "1");
  assert.equal(await redis.wait(1, 5_000), 1);
}

for (const isLost of [true, false]) {
  test(`a primary dies, and its replica ${isLost ? "has not heard of the last slot: that fires again, as the same run" : "knows the last slot: that does not fire again"}`, async () => {
    await using primary = await startRedis({ report() {} });
    await using replica = await startRedis({ report() {} });
    await using address = await openAddress(primary.port);
    await using second = await connect(replica.url);
    const password = decodeURIComponent(new URL(primary.url).password);
    await second.config("SET", "masterauth", password);
    await second.config("SET", "requirepass", password);
    await using first = await connect(primary.url);
    await first.config("SET", "repl-diskless-sync-delay", "0");
    await second.replicaof("127.0.0.1", primary.port);
    await eventually(async () => (await second.info("replication")).includes("master_link_status:up"));

    const namespace = testNamespace();
    const redisUrl = Object.assign(new URL(primary.url), { port: String(address.port) }).href;
    const crons = [{ expression: "* * * * *", misfire: "fire_all" as const }];
    const common = { namespace, crons, startMs: start, redisUrl };
    await using one = await testScheduler(common);
    await using other = await testScheduler(common);
    await Promise.all([one.refresh(), other.refresh()]);
    const fireAt = (minute: number) => Promise.all([one, other].map((each) => each.fireAt(start + minute * MINUTE)));

    await fireAt(1);
    await hasArrived(one.opened.redis);
    if (isLost) await second.replicaof("NO", "ONE"); // it hears no more; everybody else goes on with the primary
    await fireAt(2);
    if (!isLost) await hasArrived(one.opened.redis);
    await primary.kill();
    await second.replicaof("NO", "ONE");
    address.turnTo(replica.port);
    await Promise.all([one, other].map(({ opened }) => ready(opened.redis, 10_000)));
    await fireAt(3);

    const { fired, entries } = await outcomeOf({ ...one.schedule().lane, redis: second });
    const slots = [1, 2, 3].map((minute) => start + minute * MINUTE);
    assert.deepEqual(fired, slots);
    assert.deepEqual(
      entries.map(({ run }) => run),
      slots.map((slotMs) => cronRunId({ namespace, queue: "default", schedule: "sync", slotMs, rerun: 0 })),
    );
  });
}
