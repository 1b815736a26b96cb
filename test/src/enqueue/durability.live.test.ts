import assert from "node:assert/strict";
import { test } from "node:test";
import { Redis } from "ioredis";
import { createBroker } from "../../../src/broker.ts";
import type { Durability } from "../../../src/define/broker.ts";
import { startRedis } from "../../../src/dev/start-redis.ts";
import { isTasktrailError } from "../../../src/errors.ts";
import { laneKeys } from "../../../streams/keys.ts";
import { eventually } from "../../support/servers.ts";

const logger = { debug() {}, info() {}, warn() {}, error() {}, child: () => logger };
const keys = laneKeys("durable", "default");

function openBroker(redis: string, durability: Durability, enqueueTimeout: "1s" | "4s" = "1s") {
  const broker = createBroker({ redis, namespace: "durable", enqueueTimeout, durability, logger });
  return { broker, note: broker.task({ name: "note", run() {} }) };
}

/** A primary with one replica that follows it. */
async function openPair() {
  const primary = await startRedis();
  const { port, password } = new URL(primary.url);
  const args = ["--replicaof", `127.0.0.1 ${port}`, "--masterauth", password];
  const replica = await startRedis({ args });
  const redis = new Redis(primary.url);
  await eventually(async () => /state=online/.test(await redis.info("replication")), { timeoutMs: 20_000 });
  return {
    primary,
    replica,
    redis,
    async [Symbol.asyncDispose]() {
      redis.disconnect();
      await replica[Symbol.asyncDispose]();
      await primary[Symbol.asyncDispose]();
    },
  };
}

test("a replicated dispatch resolves once a replica has it, and fails as ambiguous when none has it in time", async () => {
  await using pair = await openPair();
  const { broker, note } = openBroker(pair.primary.url, "replicated");
  const onReplica = new Redis(pair.replica.url);
  const runs = await Promise.all([note.kiq(), note.kiq(), note.with({ delay: "1h" }).kiq()]);
  assert.equal(await onReplica.xlen(keys.tasks), 2, "there as soon as it had resolved");
  assert.equal(await onReplica.zcard(keys.scheduled), 1);
  assert.equal(new Set(runs.map(({ id }) => id)).size, 3);
  assert.equal((await note.kiqMany([undefined, undefined])).length, 2);
  assert.equal(await onReplica.xlen(keys.tasks), 4);
  onReplica.disconnect();

  await pair.replica.kill();
  const keyed = note.with({ key: "once" });
  for (const attempt of ["first", "again, of a run that is there"]) {
    const began = performance.now();
    await assert.rejects(keyed.kiq(), (error: Error) => {
      assert.ok(isTasktrailError(error, "enqueue_failed"), attempt);
      assert.deepEqual([error.details.ambiguous, error.details.sent], [true, 1]);
      assert.match(error.message, /the run is written, but not confirmed: no replica has it/);
      return true;
    });
    assert.ok(performance.now() - began < 3_000);
  }
  assert.equal(await pair.redis.xlen(keys.tasks), 5, "written once, all the same");

  await pair.replica.restart();
  await eventually(async () => /state=online/.test(await pair.redis.info("replication")), { timeoutMs: 20_000 });
  const known = await keyed.kiq();
  assert.equal(known.isNew, false);
  await broker.close();
});

test("an fsynced dispatch resolves once it is on disk, is there after kill -9, and fails as ambiguous when the disk is never asked", async (t) => {
  await using redis = await startRedis({ durable: true });
  const client = new Redis(redis.url);
  client.on("error", () => {});
  if (!(await hasWaitAof(client))) {
    client.disconnect();
    return t.skip("this Redis has no WAITAOF: name a newer one in TASKTRAIL_REDIS_SERVER");
  }
  const { broker, note } = openBroker(redis.url, "fsynced", "4s"); // everysec: up to a second, and the fsync
  await Promise.all(Array.from({ length: 20 }, () => note.kiq()));
  await redis.kill();
  await redis.restart();
  await eventually(() => client.status === "ready");
  assert.equal(await client.xlen(keys.tasks), 20);

  await client.config("SET", "appendfsync", "no");
  await broker.close();
  const { broker: another, note: again } = openBroker(redis.url, "fsynced");
  await using _ = another;
  await assert.rejects(again.kiq(), (error: Error) => {
    assert.ok(isTasktrailError(error, "enqueue_failed"));
    assert.equal(error.details.ambiguous, true);
    assert.match(error.message, /the run is written, but not confirmed: it is not on disk/);
    return true;
  });
  client.disconnect();
});

async function hasWaitAof(redis: Redis): Promise<boolean> {
  const version = /redis_version:(\d+)\.(\d+)/.exec(await redis.info("server"));
  return Number(version?.[1]) * 100 + Number(version?.[2]) >= 702;
}

test("a server that cannot do what is asked for is refused, and takes nothing", async () => {
  await using redis = await startRedis();
  const client = new Redis(redis.url);
  const cases = [
    ["replicated", /durability: "replicated" cannot be had: this Redis has no replica connected/],
    [
      "fsynced",
      (await hasWaitAof(client)) ? /keeps no append-only file: set appendonly yes/ : /no WAITAOF: it takes Redis 7\.2/,
    ],
  ] as const;
  for (const [durability, message] of cases) {
    const { broker, note } = openBroker(redis.url, durability);
    for (const _ of [1, 2]) {
      await assert.rejects(note.kiq(), (error: Error) => {
        assert.ok(isTasktrailError(error, "invalid_option"));
        assert.match(error.message, message);
        return true;
      });
    }
    await broker.close();
  }
  assert.equal(await client.exists(keys.tasks), 0);
  client.disconnect();
});

test("a word that is no level is refused when the broker is made", () => {
  assert.throws(
    () => createBroker({ durability: "fsyncd" as Durability }),
    /durability: "fsyncd" is none of "async", "replicated", "fsynced". Did you mean "fsynced"\?/,
  );
});
