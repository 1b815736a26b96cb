import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { EnqueueRefused, enqueue } from "../../streams/enqueue.ts";
import { CallFailed, type Lane } from "../../streams/lane.ts";
import { compareIds } from "../../streams/ledger.ts";
import { promote } from "../../streams/schedules.ts";
import { runScript } from "../../streams/scripts.ts";
import {
  aRun,
  assertLegal,
  enqueueOne,
  freshLane,
  ledger,
  privateRedis,
  redis,
  redisNow,
  sameLane,
  take,
  types,
} from "./live-lane.ts";

test("a run waits in its queue, with all of its fields, and the ledger tells of it", async () => {
  const lane = await freshLane(redis);
  const { run, enqueued } = await enqueueOne(lane, {
    task: "greet",
    body: '{"b":"ü\\u0000"}',
    expires: 5,
    meta: { x: 1 },
  });
  const [delivery] = await take(lane, "w");
  assert.deepEqual(
    { ...delivery?.entry, meta: JSON.parse(delivery?.entry.meta ?? "").x },
    { v: "1", run, task: "greet", attempt: 1, key: "", expires: 5, meta: 1, body: '{"b":"ü\\u0000"}' },
  );
  assert.equal(delivery?.id, enqueued.entryId(0));
  const [event] = await ledger(lane);
  assert.equal(event?.type, "run.enqueued");
  assert.match(event?.position ?? "", new RegExp(`/${enqueued.ledgerId}/0$`));
  assert.ok(Math.abs((event?.at ?? 0) - (await redisNow(redis))) < 2_000);
});

test("many runs go in by one call, in order, with one ledger entry", async () => {
  const lane = await freshLane(redis);
  const records = Array.from({ length: 500 }, () => aRun(lane));
  const enqueued = await enqueue(lane, records);
  const ids = records.map((_, index) => enqueued.entryId(index) ?? "");
  assert.deepEqual(ids, [...ids].sort(compareIds));
  assert.deepEqual(
    (await take(lane, "w", 1_000)).map(({ entry }) => entry.run),
    records.map(({ run }) => run),
  );
  assert.equal(await redis.xlen(lane.keys.events), 1);
  assert.equal((await ledger(lane)).length, 500);
});

test("a run that is due later is scheduled and not queued", async () => {
  const lane = await freshLane(redis);
  const dueAt = (await redisNow(redis)) + 60_000;
  const { run, enqueued } = await enqueueOne(lane, { dueAt });
  assert.equal(enqueued.entryId(0), undefined);
  assert.deepEqual(await redis.zrange(lane.keys.scheduled, "0", "-1", "WITHSCORES"), [run, String(dueAt)]);
  assert.equal(await redis.hlen(lane.keys.scheduledEntries), 1);
  assert.equal((await take(lane, "w")).length, 0);
});

test("a run whose time came on the way is queued at once, and its history says that it was due", async () => {
  const lane = await freshLane(redis);
  const record = aRun(lane, { dueAt: (await redisNow(redis)) - 1 });
  const enqueued = await enqueue(lane, [aRun(lane), record, aRun(lane)]);
  assert.notEqual(enqueued.entryId(1), undefined);
  assert.deepEqual(await types(lane, record.run), ["run.enqueued", "run.due"]);
  assert.equal(await redis.zcard(lane.keys.scheduled), 0);
  await assertLegal(lane);
});

test("the event of a delayed run always says until when, and that of another never does", async () => {
  const lane = await freshLane(redis);
  const dueAt = (await redisNow(redis)) + 60_000;
  const late = aRun(lane, { dueAt: 0 });
  const early = aRun(lane, { dueAt });
  await enqueue(lane, [
    { ...late, dueAt },
    { ...early, dueAt: 0 },
  ]);
  assert.deepEqual(
    (await ledger(lane)).map((event) => (event as { dueAt?: number }).dueAt),
    [dueAt, undefined],
  );
});

describe("an idempotency key", () => {
  test("gives the first run back, and nothing of the second is kept", async () => {
    const lane = await freshLane(redis);
    const { run } = await enqueueOne(lane, { key: "welcome" });
    const { enqueued } = await enqueueOne(lane, { key: "welcome" });
    assert.deepEqual([...enqueued.existing], [[0, run]]);
    assert.equal(enqueued.ledgerId, "");
    assert.equal((await take(lane, "w")).length, 1);
    assert.equal((await ledger(lane)).length, 1);
  });

  test("is met in the same call too, beside runs with other keys and with none", async () => {
    const lane = await freshLane(redis);
    const records = [{ key: "a" }, {}, { key: "a" }, { key: "b", dueAt: Date.now() + 60_000 }, { key: "b" }];
    const runs = records.map((wish) => aRun(lane, wish));
    const enqueued = await enqueue(lane, runs);
    assert.deepEqual(
      [...enqueued.existing],
      [
        [2, runs[0]?.run],
        [4, runs[3]?.run],
      ],
    );
    assert.equal((await take(lane, "w")).length, 2);
    assert.deepEqual(
      (await ledger(lane)).map((event) => event["run" as never]),
      [runs[0]?.run, runs[1]?.run, runs[3]?.run],
    );
  });

  test("is of one task, and lives as long as it was told at first", async () => {
    const lane = await freshLane(redis);
    await enqueueOne(lane, { key: "k", task: "one", keyTtlMs: 5_000.5 });
    const { enqueued } = await enqueueOne(lane, { key: "k", task: "two" });
    assert.equal(enqueued.existing.size, 0);
    const ttl = await redis.pttl(lane.keys.key("one", "k"));
    assert.ok(ttl > 3_000 && ttl <= 5_001, `${ttl} ms`);
  });

  test("that somebody else wrote holds nothing: not a text, and not another type beside runs of the same call", async () => {
    const lane = await freshLane(redis);
    await redis.set(lane.keys.key("send", "text"), "not a run");
    await redis.rpush(lane.keys.key("send", "list"), "x");
    const runs = [{}, { key: "text" }, { key: "list" }].map((wish) => aRun(lane, { task: "send", ...wish }));
    assert.equal((await enqueue(lane, runs)).existing.size, 0);
    assert.equal((await take(lane, "w")).length, 3);
    assert.equal(await redis.get(lane.keys.key("send", "list")), runs[2]?.run);
  });

  test("keeps the event that comes before a run, also of a run without a key in the same call", async () => {
    const lane = await freshLane(redis);
    const slot = { schedule: "s", task: "send", slot: 1, trigger: "manual", lateMs: 0, timezone: "UTC" } as const;
    const plain = aRun(lane);
    const keyed = aRun(lane, { key: "k" });
    const fired = (run: string) => ({ type: "slot.fired", run, ...slot }) as const;
    await enqueue(lane, [
      { ...plain, before: fired(plain.run) },
      { ...keyed, before: fired(keyed.run) },
    ]);
    const again = aRun(lane, { key: "k" });
    await enqueue(lane, [{ ...again, before: fired(again.run) }]);
    assert.deepEqual(await types(lane), ["slot.fired", "run.enqueued", "slot.fired", "run.enqueued"]);
  });
});

describe("a call that is repeated under its number", () => {
  /** Sends the very same call twice, as after a lost answer. */
  async function twice(lane: Lane, wishes: Parameters<typeof aRun>[1][]) {
    const sent: unknown[][] = [];
    const spy = new Proxy(redis, {
      get: (target, name) =>
        name === "evalsha"
          ? async (sha: string, count: number, given: string[]) => {
              sent.push([sha, count, given]);
              return target.evalsha(sha, count, given);
            }
          : Reflect.get(target, name, target),
    });
    const first = await enqueue(
      { ...lane, redis: spy },
      wishes.map((wish) => aRun(lane, wish)),
    );
    const [sha, count, given] = sent[0] as [string, number, string[]];
    return { first, again: (await redis.evalsha(sha, count, given)) as string[] };
  }

  test("does nothing, and tells the same exceptions and the same ledger entry", async () => {
    const lane = await freshLane(redis);
    const { run } = await enqueueOne(lane, { key: "k" });
    const { first, again } = await twice(lane, [{ key: "k" }, {}, { dueAt: Date.now() + 60_000 }]);
    assert.equal(again[0], "repeated");
    assert.equal(again[3], `0 ${run}`);
    assert.equal(again[4], first.ledgerId);
    assert.equal(await redis.xlen(lane.keys.tasks), 2);
    assert.equal(await redis.zcard(lane.keys.scheduled), 1);
    assert.equal((await ledger(lane)).length, 3);
  });

  test("is known for sixteen calls, and refused as stale after that", async () => {
    const lane = await freshLane(redis);
    const early = await twice(lane, [{}]);
    for (let i = 0; i < 15; i += 1) await enqueueOne(lane);
    assert.equal(early.again[0], "repeated");
    const call = { key: lane.keys, args: [1, 0, lane.header(1), 0, "[]", "plain"] };
    const keys = [call.key.tasks, call.key.events, call.key.scheduled, call.key.scheduledEntries];
    const again = () => runScript(redis, "enqueue", [...keys, lane.keys.calls(lane.incarnation)], call.args);
    assert.equal(((await again()) as string[])[0], "repeated");
    await enqueueOne(lane); // number 17 takes the slot of number 1
    assert.equal(((await again()) as string[])[0], "stale");
    assert.equal((await ledger(lane)).length, 17);
  });

  test("is remembered for an hour after the last call at least", async () => {
    const lane = await freshLane(redis);
    const ring = lane.keys.calls(lane.incarnation);
    await enqueueOne(lane);
    assert.ok((await redis.pttl(ring)) > 7_000_000);
    const now = await redisNow(redis);
    await redis.pexpire(ring, 3_500_000);
    await redis.hset(ring, "kept", now + 3_500_000);
    await enqueueOne(lane);
    assert.ok((await redis.pttl(ring)) > 7_000_000);
  });

  test("of another process is none: each has call numbers of its own", async () => {
    const lane = await freshLane(redis);
    const other = sameLane(lane);
    const twin = { ...lane, ...sameLane(lane) };
    for (const writer of [lane, other, twin]) await enqueueOne(writer);
    assert.equal((await take(lane, "w")).length, 3);
  });
});

test("a call that arrives after its deadline does nothing", async () => {
  const lane = await freshLane(redis);
  const behind = { ...lane, clock: { ...lane.clock, now: () => Date.now() - 60_000 } };
  await assert.rejects(enqueue(behind, [aRun(lane)], { deadline: performance.now() + 1_000 }), EnqueueRefused);
  assert.equal(await redis.xlen(lane.keys.tasks), 0);
  assert.equal((await ledger(lane)).length, 0);
});

test("a call goes on after SCRIPT FLUSH", async () => {
  await using server = await privateRedis();
  const lane = await freshLane(server.redis);
  await enqueueOne(lane);
  await server.redis.script("FLUSH");
  const all = await Promise.all([enqueueOne(lane), enqueueOne(lane), enqueueOne(lane, { key: "k" })]);
  assert.equal(all.length, 3);
  assert.equal((await take(lane, "w")).length, 4);
});

test("lanes do not touch each other", async () => {
  const lane = await freshLane(redis);
  const other = await freshLane(redis);
  await enqueueOne(lane, { key: "k" });
  const { enqueued } = await enqueueOne(other, { key: "k" });
  assert.equal(enqueued.existing.size, 0);
  assert.equal((await take(lane, "w")).length, 1);
  assert.equal((await take(other, "w")).length, 1);
});

test("a full memory is told at once, nothing has happened then, and the same call passes when there is room", async () => {
  await using server = await privateRedis();
  const lane = await freshLane(server.redis);
  const records = [aRun(lane), aRun(lane, { key: "k" }), aRun(lane, { dueAt: Date.now() + 60_000 })];
  await server.fill();
  for (const batch of [records, records.slice(0, 1), records.slice(1, 2)]) {
    const deadline = performance.now() + 1_000;
    await assert.rejects(enqueue(lane, batch, { deadline }), (error: CallFailed) => {
      assert.ok(error instanceof CallFailed);
      assert.equal(error.wasSent, false);
      return true;
    });
  }
  const { tasks, events, scheduled } = lane.keys;
  assert.equal(await server.redis.exists(tasks, events, scheduled, lane.keys.key("send", "k")), 1); // the empty queue alone
  const waiting = enqueue(lane, records);
  await server.empty();
  await waiting;
  assert.equal((await ledger(lane)).length, 3);
});

test("a delayed run keeps all that an entry has until it is due", async () => {
  const lane = await freshLane(redis);
  const body = JSON.stringify({ text: "\u0001\u00ff✓".repeat(100) });
  const { run } = await enqueueOne(lane, { dueAt: (await redisNow(redis)) + 60_000, body, key: "k", expires: 7 });
  await redis.zadd(lane.keys.scheduled, 1, run);
  await promote(lane);
  const [delivery] = await take(lane, "w");
  assert.equal(delivery?.stream, 2);
  const { meta: _, ...entry } = delivery?.entry ?? { meta: "" };
  assert.deepEqual(entry, { v: "1", run, task: "send", attempt: 1, key: lane.keys.key("send", "k"), expires: 7, body });
});
