import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { Redis } from "ioredis";
import { openRedis } from "../../streams/connect.ts";
import { laneKeys } from "../../streams/keys.ts";
import { type HeldLock, type Locks, LockUnavailable, openLocks } from "../../streams/locks.ts";
import { eventually, testNamespace } from "../support/servers.ts";
import { connect, privateRedis } from "./live-lane.ts";

let redis: Redis;
let locks: Locks;
before(async () => {
  redis = await connect();
  locks = await openLocks([redis]);
});
after(() => redis.disconnect());

const newName = () => laneKeys(testNamespace(), "q").lock("sync");

async function taken(from: Locks, name: string, value: string, ttlMs = 10_000): Promise<HeldLock> {
  const taking = await from.take(name, value, ttlMs);
  assert.ok(taking.isTaken, `held by ${!taking.isTaken && taking.holder}`);
  return taking.lock;
}

test("a free lock is taken, for its time, in the name of the run", async () => {
  const name = newName();
  const lock = await taken(locks, name, "run-1");
  assert.equal(await redis.get(name), "run-1");
  const ttl = await redis.pttl(name);
  assert.ok(ttl > 9_000 && ttl <= 10_000);
  assert.ok(lock.expiresAt() > Date.now() + 9_000 && lock.expiresAt() < Date.now() + 10_000);
});

test("another run is refused at once, is told who holds it, and does not disturb the holder", async () => {
  const name = newName();
  await taken(locks, name, "run-1");
  const begun = performance.now();
  assert.deepEqual(await locks.take(name, "run-2", 50_000), { isTaken: false, holder: "run-1" });
  assert.ok(performance.now() - begun < 500);
  assert.equal(await redis.get(name), "run-1");
  assert.ok((await redis.pttl(name)) <= 10_000);
});

test("the same run takes its own lock again, for the new time: a ghost of itself does not skip it", async () => {
  const name = newName();
  const ghost = await taken(locks, name, "run-1", 500);
  await taken(locks, name, "run-1", 20_000);
  assert.ok((await redis.pttl(name)) > 15_000);
  assert.equal(ghost.value, "run-1");
});

test("many that take at once, over one instance: one has it", async () => {
  const name = newName();
  const all = await Promise.all(Array.from({ length: 20 }, (_, index) => locks.take(name, `run-${index}`, 10_000)));
  assert.equal(all.filter(({ isTaken }) => isTaken).length, 1);
  const holder = await redis.get(name);
  for (const one of all) if (!one.isTaken) assert.equal(one.holder, holder);
});

describe("a lock that is held", () => {
  test("is extended from now on", async () => {
    const name = newName();
    const lock = await taken(locks, name, "run-1", 1_000);
    assert.equal(await lock.extend(30_000), true);
    assert.ok((await redis.pttl(name)) > 25_000);
    assert.ok(lock.expiresAt() > Date.now() + 25_000);
    assert.equal(await lock.extend(2_000.5), true);
  });

  test("is not extended once it is lost: expired, or another's", async () => {
    const name = newName();
    const lock = await taken(locks, name, "run-1");
    await redis.set(name, "run-2");
    assert.equal(await lock.extend(30_000), false);
    assert.equal(await redis.get(name), "run-2");
    const short = await taken(locks, newName(), "run-1", 300);
    await eventually(async () => (await redis.exists(short.name)) === 0);
    assert.equal(await short.extend(30_000), false);
  });

  test("is free once it is let go, for others at once", async () => {
    const name = newName();
    const lock = await taken(locks, name, "run-1");
    await lock.release();
    assert.equal(await redis.exists(name), 0);
    await taken(locks, name, "run-2");
  });

  test("that had expired, or was let go before, is let go without an error, and without touching who has it now", async () => {
    const name = newName();
    const lock = await taken(locks, name, "run-1");
    await redis.set(name, "run-2");
    await lock.release();
    await lock.release();
    assert.equal(await redis.get(name), "run-2");
  });
});

describe("with a full memory", () => {
  test("a free lock is no held one: it is taken, extended, taken again and let go, and only another's is refused", async () => {
    await using server = await privateRedis();
    const full = await openLocks([server.redis]);
    await taken(full, "theirs", "run-2");
    await server.fill();
    const lock = await taken(full, "free", "run-1");
    await taken(full, "free", "run-1", 30_000);
    assert.equal(await lock.extend(40_000), true);
    assert.deepEqual(await full.take("theirs", "run-1", 1_000), { isTaken: false, holder: "run-2" });
    await lock.release();
    assert.equal(await server.redis.exists("free"), 0);
  });
});

describe("without Redis", () => {
  test("whether a lock is free is an error, never a refusal", async () => {
    await using server = await privateRedis();
    const away = await openLocks([server.redis]);
    const lock = await taken(away, "mine", "run-1");
    server.redis.disconnect();
    await assert.rejects(away.take("l", "run-1", 1_000), LockUnavailable);
    await assert.rejects(lock.extend(1_000), LockUnavailable);
    await assert.rejects(lock.release(), LockUnavailable);
  });

  test("an answer that is no vote is an error: a key of another type", async () => {
    const name = newName();
    await redis.lpush(name, "x");
    await assert.rejects(locks.take(name, "run-1", 1_000), (error: LockUnavailable) => {
      assert.ok(error instanceof LockUnavailable);
      assert.match(error.message, /could not be found out/);
      return true;
    });
  });

  test("of three servers, one that is away neither grants nor refuses: the other two decide", async () => {
    await using one = await privateRedis();
    await using other = await privateRedis();
    const gone = [
      await openRedis("redis://127.0.0.1:1", "lock"),
      await openRedis("redis://127.0.0.1:1", "lock"),
    ] as const;
    const three = await openLocks([one.redis, other.redis, gone[0]]);
    const name = newName();
    const lock = await taken(three, name, "run-1");
    assert.deepEqual(await three.take(name, "run-2", 1_000), { isTaken: false, holder: "run-1" });
    await lock.release();
    await taken(three, name, "run-2");
    const minority = await openLocks([one.redis, ...gone]);
    await assert.rejects(minority.take(name, "run-1", 1_000), LockUnavailable);
    for (const client of gone) client.disconnect();
  });
});

test("an even number of servers, or none, is refused: a tied vote would never be settled", async () => {
  for (const clients of [[], [redis, redis]]) await assert.rejects(openLocks(clients), RangeError);
});
