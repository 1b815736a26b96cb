import assert from "node:assert/strict";
import { test } from "node:test";
import { Redis } from "ioredis";
import { startRedis } from "../../src/dev/start-redis.ts";
import { openWork } from "../support/work.ts";
import { killedAt } from "./schedule/killed-at.ts";

for (const isApart of [false, true]) {
  const where = isApart ? "on a server of their own" : "where the queue lives";
  test(`a run is not skipped for one whose worker was killed between its ending and letting go of the lock, with locks ${where}`, async () => {
    await using work = await openWork();
    await using apart = isApart ? await startRedis({ report() {} }) : undefined;
    const locks = apart === undefined ? [] : [apart.url];
    const { schedules } = work.broker;
    const task = work.broker.task({ name: "sync", run() {} });
    await schedules.upsert("s", { task, cron: "0 0 1 1 *", lockTtl: "1h" });
    const first = await schedules.trigger("s");
    // Its calls: that the worker has started, that the run has, and its ending.
    await killedAt("after:3:settle", "work", work, ...locks);
    assert.equal((await work.ledger.ended([first.id]))[0]?.type, "run.succeeded");
    assert.equal(await heldBy(apart?.url ?? work.url, work.keys.lock("s")), first.id, "it was killed before it let go");

    work.work(isApart ? { locks } : {});
    const second = await schedules.trigger("s");
    assert.equal((await work.ledger.ended([second.id]))[0]?.type, "run.succeeded");
  });
}

async function heldBy(url: string, lock: string): Promise<string | null> {
  const redis = new Redis(url);
  return redis.get(lock).finally(() => redis.disconnect());
}
