import assert from "node:assert/strict";
import { test } from "node:test";
import { Redis } from "ioredis";
import { startRedis } from "../../../src/dev/start-redis.ts";
import { openWork } from "../../support/work.ts";
import { tasktrail } from "./tasktrail.ts";

test("crons shows who holds a lock on servers of its own, one of which may be away, and says when that is not known", async () => {
  await using work = await openWork();
  const { broker, url, namespace, keys } = work;
  const task = broker.task({ name: "report", run() {} });
  await broker.schedules.upsert("s", { task, cron: "0 0 1 1 *" });
  await using one = await startRedis({ report() {} });
  await using two = await startRedis({ report() {} });
  await using three = await startRedis({ report() {} });
  for (const server of [one, two]) {
    const redis = new Redis(server.url);
    await redis.set(keys.lock("s"), "the-one-at-work", "PX", 60_000).finally(() => redis.disconnect());
  }
  const env = {
    REDIS_URL: url,
    DATABASE_URL: "",
    TASKTRAIL_NAMESPACE: namespace,
    TASKTRAIL_LOCKS: [one, two, three].map((server) => server.url).join(","),
  };
  await three.kill();
  const shown = await tasktrail(["crons"], { env });
  assert.match(shown.out, /lock +held by run the-one-at-work/);
  assert.equal(shown.err, "");

  await two.kill();
  const unknown = await tasktrail(["crons"], { env });
  assert.doesNotMatch(unknown.out, /held by/);
  assert.match(unknown.err, /not known: 2 of 3 servers of TASKTRAIL_LOCKS do not answer/);
});

test("crons does not show a run that has ended as the holder of a lock that it has left behind", async () => {
  await using work = await openWork();
  const { broker, url, namespace, keys, redis } = work;
  const task = broker.task({ name: "report", run() {} });
  await broker.schedules.upsert("s", { task, cron: "0 0 1 1 *" });
  await redis.set(keys.lock("s"), "gone", "PX", 60_000);
  const env = { REDIS_URL: url, DATABASE_URL: "", TASKTRAIL_NAMESPACE: namespace };
  assert.match((await tasktrail(["crons"], { env })).out, /lock +held by run gone/);
  await redis.set(keys.ended("gone"), "1", "PX", 60_000);
  assert.doesNotMatch((await tasktrail(["crons"], { env })).out, /held by/);
});
