import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Delivery } from "../../streams/entry.ts";
import type { Lane } from "../../streams/lane.ts";
import { receiveAgain, reclaim } from "../../streams/leases.ts";
import { cancel, promote } from "../../streams/schedules.ts";
import { SCRIPTS } from "../../streams/scripts.ts";
import { type Settlement, settle } from "../../streams/settle.ts";
import { entryFields } from "../support/entry.ts";
import {
  assertLegal,
  aWorker,
  cancelled,
  died,
  enqueueMany,
  enqueueOne,
  failed,
  freshLane,
  LEASE_MS,
  lapse,
  privateRedis,
  redis,
  redisNow,
  sameLane,
  started,
  succeeded,
  take,
  takeOne,
  types,
} from "./live-lane.ts";

const settleAs = (lane: Lane, consumer: string, ...settlements: Settlement[]) =>
  settle(lane, { consumer, settlements });

/** A lane with one run, held by "w". */
async function heldRun(
  wish: Parameters<typeof enqueueOne>[1] = {},
): Promise<{ lane: Lane; delivery: Delivery; run: string }> {
  const lane = await freshLane(redis);
  const { run } = await enqueueOne(lane, wish);
  await aWorker(lane, "w");
  return { lane, run, delivery: await takeOne(lane, "w") };
}

async function isUntouched(lane: Lane, delivery: Delivery, held = 1): Promise<void> {
  const rows = (await redis.xpending(lane.keys.tasks, "workers", "-", "+", 10)) as [string, string, number, number][];
  assert.equal(rows.length, held);
  if (held > 0) assert.equal(rows[0]?.[0], delivery.id);
  assert.equal(await redis.xlen(lane.keys.tasks), 1);
}

describe("an ending", () => {
  test("takes the entry away and is recorded after the start", async () => {
    const { lane, delivery, run } = await heldRun();
    const settled = await settleAs(lane, "w", started(delivery), succeeded(delivery));
    assert.equal(settled.refused.size, 0);
    assert.match(settled.ledgerId, /^\d+-\d+$/);
    assert.equal(await redis.xlen(lane.keys.tasks), 0);
    assert.equal(((await redis.xpending(lane.keys.tasks, "workers")) as unknown[])[0], 0);
    assert.deepEqual(await types(lane, run), ["run.enqueued", "run.started", "run.succeeded"]);
    await assertLegal(lane);
  });

  test("as dead keeps the run, with why, in the dead letters", async () => {
    const { lane, delivery, run } = await heldRun({ body: '{"x":1}' });
    await settleAs(lane, "w", died(delivery, "invalid_input"));
    const [[, fields]] = (await redis.xrange(lane.keys.dead, "-", "+")) as [[string, string[]]];
    assert.deepEqual(fields?.slice(0, 10), [
      "run",
      run,
      "task",
      "send",
      "attempt",
      "1",
      "reason",
      "invalid_input",
      "error",
      "{}",
    ]);
    assert.deepEqual(fields?.slice(12), ["body", '{"x":1}']);
    assert.equal(await redis.xlen(lane.keys.tasks), 0);
    await assertLegal(lane);
  });

  test("of a malformed entry is taken, whatever its fields hold", async () => {
    const lane = await freshLane(redis);
    await redis.xadd(lane.keys.tasks, "*", "attempt", "1e999", "surprise", "\0");
    await redis.xadd(lane.keys.again, "*", ...entryFields("r", { attempt: -1, expires: "soon" }));
    const deliveries = await take(lane, "w");
    assert.equal(deliveries.length, 2);
    const settled = await settleAs(lane, "w", ...deliveries.map((delivery) => died(delivery, "undecodable")));
    assert.equal(settled.refused.size, 0);
    assert.equal(await redis.xlen(lane.keys.tasks), 0);
    assert.equal(await redis.xlen(lane.keys.dead), 2);
  });

  test("keeps a result for its time only when it has one, however odd that time is", async () => {
    const { lane, delivery, run } = await heldRun();
    await settleAs(lane, "w", started(delivery), succeeded(delivery, "w", { result: { json: "[1]", ttlMs: 1_000.4 } }));
    assert.equal(await redis.get(lane.keys.result(run)), "[1]");
    const ttl = await redis.pttl(lane.keys.result(run));
    assert.ok(ttl > 0 && ttl <= 1_001);
    const other = await heldRun();
    await settleAs(other.lane, "w", succeeded(other.delivery, "w", { result: { json: "1", ttlMs: Number.NaN } }));
    assert.equal(await redis.xlen(other.lane.keys.tasks), 0);
  });

  test("comes once per entry: a call that ends one twice is refused whole", async () => {
    const { lane, delivery, run } = await heldRun();
    const first = succeeded(delivery);
    const second = died(delivery);
    const settled = await settleAs(lane, "w", first, second);
    assert.deepEqual([...settled.refused], [[second, "fenced"]]);
    await isUntouched(lane, delivery);
    assert.deepEqual(await types(lane, run), ["run.enqueued"]);
  });
});

describe("an idempotency key", () => {
  const held = () => heldRun({ key: "k", keyTtlMs: 1_000_000 });
  const next = async (lane: Lane) => (await enqueueOne(lane, { key: "k" })).enqueued.existing.get(0);

  test("is free as soon as its run has ended, when it was to end with the run", async () => {
    const { lane, delivery, run } = await held();
    assert.equal(await next(lane), run);
    await settleAs(lane, "w", succeeded(delivery, "w", { keyUntil: 0 }));
    assert.equal(await next(lane), undefined);
  });

  test("holds on until its time after the ending, and no longer", async () => {
    const { lane, delivery, run } = await held();
    const keyUntil = (await redisNow(redis)) + 60_000.5;
    await settleAs(lane, "w", succeeded(delivery, "w", { keyUntil }));
    assert.equal(await next(lane), run);
    const ttl = await redis.pttl(lane.keys.key("send", "k"));
    assert.ok(ttl > 50_000 && ttl <= 60_001);
  });

  test("is free when its time was over before the ending", async () => {
    const { lane, delivery } = await held();
    await settleAs(lane, "w", { ...died(delivery), keyUntil: (await redisNow(redis)) - 5 } as Settlement);
    assert.equal(await next(lane), undefined);
  });

  test("stays with the run while it is tried again", async () => {
    const { lane, delivery, run } = await held();
    await settleAs(lane, "w", started(delivery), failed(delivery, 1));
    assert.equal(await next(lane), run);
    await promote(lane);
    const again = await takeOne(lane, "w");
    await settleAs(lane, "w", started(again), succeeded(again));
    assert.equal(await next(lane), undefined);
  });

  test("that passed to another run in the meantime is left alone", async () => {
    const { lane, delivery } = await held();
    await redis.set(lane.keys.key("send", "k"), "another");
    await settleAs(lane, "w", succeeded(delivery));
    assert.equal(await redis.get(lane.keys.key("send", "k")), "another");
  });

  test("whose place somebody else took with another type does not keep the run from its ending", async () => {
    const { lane, delivery } = await held();
    await redis.del(lane.keys.key("send", "k"));
    await redis.rpush(lane.keys.key("send", "k"), "x");
    await settleAs(lane, "w", succeeded(delivery));
    assert.equal(await redis.xlen(lane.keys.tasks), 0);
  });

  test("of a strange entry is not touched outside its own lane", async () => {
    const lane = await freshLane(redis);
    const other = await freshLane(redis);
    await redis.set(other.keys.key("send", "k"), "r");
    const key = other.keys.key("send", "k");
    await redis.xadd(lane.keys.tasks, "*", ...entryFields("r", { task: "send", key }));
    await settleAs(lane, "w", succeeded(await takeOne(lane, "w")));
    assert.equal(await redis.get(other.keys.key("send", "k")), "r");
  });
});

describe("a move", () => {
  test("schedules the run with its next attempt, and takes the entry away", async () => {
    const { lane, delivery, run } = await heldRun({ body: '"b"', key: "k" });
    const dueAt = (await redisNow(redis)) + 60_000.3;
    await settleAs(lane, "w", started(delivery), failed(delivery, dueAt));
    assert.deepEqual(await redis.zrange(lane.keys.scheduled, "0", "-1", "WITHSCORES"), [run, String(Math.ceil(dueAt))]);
    assert.equal(await redis.xlen(lane.keys.tasks), 0);
    await redis.zadd(lane.keys.scheduled, 1, run);
    await promote(lane);
    const again = await takeOne(lane, "w");
    assert.deepEqual({ ...again.entry }, { ...delivery.entry, attempt: 2 });
    assert.deepEqual(await types(lane, run), ["run.enqueued", "run.started", "run.failed", "run.due"]);
  });

  test("to an instant that is none is a move to now", async () => {
    for (const dueAt of [Number.NaN, -5, Number.NEGATIVE_INFINITY]) {
      const { lane, delivery } = await heldRun();
      await settleAs(lane, "w", started(delivery), failed(delivery, dueAt));
      assert.equal((await promote(lane)).movedCount, 1);
    }
  });

  test("of a run whose cancel was asked for is refused, and everything else of the call with it", async () => {
    const { lane, delivery, run } = await heldRun();
    const { run: bystander } = await enqueueOne(lane);
    const other = await takeOne(lane, "w");
    assert.equal(await cancel(lane, { run }), "requested");
    const retry = failed(delivery, 5);
    const settled = await settleAs(lane, "w", started(delivery), started(other), succeeded(other), retry);
    assert.deepEqual([...settled.refused], [[retry, "cancelled"]]);
    assert.equal(settled.cancelRequests, 1);
    assert.deepEqual(await types(lane, bystander), ["run.enqueued"]);
    const settledAgain = await settleAs(
      lane,
      "w",
      started(delivery),
      cancelled(delivery),
      started(other),
      succeeded(other),
    );
    assert.equal(settledAgain.refused.size, 0);
    assert.equal(settledAgain.cancelRequests, 0);
    assert.equal(await redis.zcard(lane.keys.cancelled), 0);
    await assertLegal(lane);
  });
});

test("every ending takes its cancel request away, whether the worker knew of it or not", async () => {
  const lane = await freshLane(redis);
  await Promise.all([enqueueOne(lane), enqueueOne(lane), enqueueOne(lane)]);
  const [a, b, c] = (await take(lane, "w")) as [Delivery, Delivery, Delivery];
  for (const { entry } of [a, b, c]) await cancel(lane, { run: entry.run });
  const settled = await settleAs(lane, "w", started(a), succeeded(a), died(b), cancelled(c));
  assert.equal(settled.cancelRequests, 0);
  assert.equal(await redis.zcard(lane.keys.cancelled), 0);
});

describe("the fence", () => {
  test("refuses the start and the ending of an entry that another worker holds", async () => {
    const { lane, delivery, run } = await heldRun();
    await aWorker(lane, "w2");
    await lapse(lane, "w");
    const [taken] = (await reclaim(lane, { consumer: "w2", leaseMs: LEASE_MS, room: 10 })).taken as [Delivery];
    const late = started(delivery);
    assert.deepEqual([...(await settleAs(lane, "w", late)).refused], [[late, "fenced"]]);
    const ending = succeeded(delivery);
    assert.deepEqual([...(await settleAs(lane, "w", late, ending)).refused], [[ending, "fenced"]]);
    await settleAs(lane, "w2", started(taken), succeeded(taken));
    assert.deepEqual([...(await settleAs(lane, "w", ending)).refused], [[ending, "fenced"]]);
    assert.deepEqual(await types(lane, run), ["run.enqueued", "run.redelivered", "run.started", "run.succeeded"]);
  });

  test("refuses an earlier delivery of an entry that came back to the same worker", async () => {
    const { lane, delivery } = await heldRun();
    await aWorker(lane, "w2");
    await lapse(lane, "w");
    await reclaim(lane, { consumer: "w2", leaseMs: LEASE_MS, room: 10 });
    await aWorker(lane, "w");
    await lapse(lane, "w2");
    const [back] = (await reclaim(lane, { consumer: "w", leaseMs: LEASE_MS, room: 10 })).taken as [Delivery];
    assert.equal(back.delivery, 3);
    const zombie = succeeded(delivery);
    assert.deepEqual([...(await settleAs(lane, "w", zombie)).refused], [[zombie, "fenced"]]);
    assert.equal((await settleAs(lane, "w", started(back), succeeded(back))).refused.size, 0);
    await assertLegal(lane);
  });

  test("refuses a whole call for one operation, and does nothing of it", async () => {
    const { lane, delivery } = await heldRun({ key: "k" });
    const stranger: Delivery = { ...delivery, id: `${delivery.id.split("-")[0]}-99999` };
    const bad = failed(stranger, 5);
    const good = succeeded(delivery, "w", { result: { json: "1", ttlMs: 1_000 } });
    assert.deepEqual(
      [...(await settleAs(lane, "w", started(delivery, "w", true), good, bad)).refused],
      [[bad, "fenced"]],
    );
    await isUntouched(lane, delivery);
    const { scheduled, scheduledEntries, strikes, dead } = lane.keys;
    assert.equal(
      await redis.exists(scheduled, scheduledEntries, strikes, dead, lane.keys.result(delivery.entry.run)),
      0,
    );
    assert.equal(await redis.exists(lane.keys.key("send", "k")), 1);
    assert.deepEqual(await types(lane), ["run.enqueued"]);
  });

  test("sees all that a worker holds, in both streams, more than one look shows", async () => {
    const lane = await freshLane(redis);
    const total = 10_100;
    const pipeline = redis.pipeline();
    for (let i = 0; i < total; i += 1) pipeline.xadd(lane.keys.tasks, "*", ...entryFields(`r${i}`));
    pipeline.xadd(lane.keys.again, "*", ...entryFields("x"));
    await pipeline.exec();
    const held = await take(lane, "w", total);
    assert.equal(held.length, total + 1);
    const again = held[0] as Delivery;
    const picked = [held[1], held[total - 1], held[total], again] as Delivery[];
    assert.equal((await settleAs(lane, "w", ...picked.map((one) => succeeded(one)))).refused.size, 0);
    const rest = held.slice(2, -2).map((one) => succeeded(one));
    assert.equal((await settleAs(lane, "w", ...rest)).refused.size, 0); // 10,000 at once: acks go in slices
    assert.equal(await redis.xlen(lane.keys.tasks), total - 3 - rest.length);
    assert.equal(await redis.xlen(lane.keys.again), 0);
  });

  test("compares ids as numbers: 9-1 comes before 10-0, and 10-9 before 10-10", async () => {
    const lane = await freshLane(redis);
    for (const id of ["9-1", "10-0", "10-9", "10-10"]) await redis.xadd(lane.keys.tasks, id, ...entryFields(id));
    const held = await take(lane, "w");
    const shuffled = [held[2], held[0], held[3], held[1]] as Delivery[];
    assert.equal((await settleAs(lane, "w", ...shuffled.map((one) => succeeded(one)))).refused.size, 0);
    assert.equal(await redis.xlen(lane.keys.tasks), 0);
  });

  test("finds nothing held where the group, or the stream, is gone", async () => {
    const { lane, delivery } = await heldRun();
    await redis.del(lane.keys.tasks);
    const ending = succeeded(delivery);
    assert.deepEqual([...(await settleAs(lane, "w", ending)).refused], [[ending, "fenced"]]);
  });

  test("takes no refusal by Redis for an entry that is lost", async () => {
    const { lane, delivery } = await heldRun();
    await redis.set(lane.keys.tasks, "a stranger's");
    await assert.rejects(settleAs(lane, "w", succeeded(delivery)), /WRONGTYPE/);
  });
});

describe("strikes", () => {
  test("are counted on their entry, before the handler runs", async () => {
    const { lane, delivery } = await heldRun();
    await settleAs(lane, "w", started(delivery, "w", true));
    assert.deepEqual(await redis.hgetall(lane.keys.strikes), { [`1 ${delivery.id}`]: "1" });
  });

  test("of a later delivery are gone with its ending, its move and its death", async () => {
    for (const end of [
      (one: Delivery) => succeeded(one),
      (one: Delivery) => failed(one, 5),
      (one: Delivery) => died(one),
    ]) {
      const { lane, delivery } = await heldRun();
      const again = (await receiveAgain(redis, lane.keys, "w", delivery)) as Delivery;
      await settleAs(lane, "w", started(again, "w", true));
      await settleAs(lane, "w", end(again));
      assert.equal(await redis.exists(lane.keys.strikes), 0);
    }
  });

  test("that come with the ending in one call leave nothing behind", async () => {
    const { lane, delivery } = await heldRun();
    await settleAs(lane, "w", started(delivery, "w", true), succeeded(delivery));
    assert.equal(await redis.exists(lane.keys.strikes), 0);
  });
});

test("a call that is repeated under its number does nothing, and tells the same ledger entry", async () => {
  const { lane, delivery } = await heldRun();
  const sent: [string, number, string[]][] = [];
  const spy = new Proxy(redis, {
    get: (target, name) =>
      name === "evalsha"
        ? (...call: [string, number, string[]]) => {
            sent.push(call);
            return target.evalsha(...call);
          }
        : Reflect.get(target, name, target),
  });
  const settled = await settleAs({ ...lane, redis: spy }, "w", started(delivery), failed(delivery, 5));
  await promote(lane);
  const again = await takeOne(lane, "w");
  const repeat = (await redis.evalsha(...(sent[0] as [string, number, string[]]))) as string[];
  assert.deepEqual([repeat[0], repeat[3]], ["repeated", settled.ledgerId]);
  assert.equal(await redis.zcard(lane.keys.scheduled), 0);
  for (let i = 0; i < 16; i += 1) await enqueueOne(lane);
  assert.equal(((await redis.evalsha(...(sent[0] as [string, number, string[]]))) as string[])[0], "stale");
  await settleAs(lane, "w", started(again), succeeded(again));
  await assertLegal(lane);
});

test("a call of nothing but notes records them", async () => {
  const lane = await freshLane(redis);
  const note = {
    type: "run.fenced",
    run: "r",
    task: "t",
    attempt: 1,
    delivery: 1,
    worker: "w",
    refused: "run.started",
  } as const;
  await settle(lane, { consumer: "w", settlements: [], notes: [note] });
  assert.deepEqual(await types(lane), ["run.fenced"]);
});

test("lanes do not touch each other", async () => {
  const { lane, delivery } = await heldRun();
  const other = await freshLane(redis);
  const ending = succeeded(delivery);
  assert.deepEqual([...(await settleAs(other, "w", ending)).refused], [[ending, "fenced"]]);
  await isUntouched(lane, delivery);
});

test("with a full memory every outcome is recorded, and scripts that the server forgot are sent again", async () => {
  await using server = await privateRedis();
  const lane = await freshLane(server.redis);
  await enqueueMany(lane, 6, () => ({ key: crypto.randomUUID() }));
  const [a, b, c, d, e, f] = (await take(lane, "w")) as [Delivery, Delivery, Delivery, Delivery, Delivery, Delivery];
  await server.fill();
  await server.redis.script("FLUSH");
  const calls: Settlement[][] = [
    [started(a)],
    [started(b, "w", true)],
    [started(c), succeeded(c, "w", { result: { json: "1", ttlMs: 5_000 }, keyUntil: Date.now() + 60_000 })],
    [started(d), failed(d, Date.now() + 1_000)],
    [died(e)],
    [succeeded(a), succeeded(b), cancelled(f)],
  ];
  for (const settlements of calls) {
    assert.equal(
      (await settle(sameLane(lane), { consumer: "w", settlements }, { deadline: performance.now() + 1_000 })).refused
        .size,
      0,
    );
  }
  assert.equal(await server.redis.xlen(lane.keys.tasks), 0);
  await server.empty();
  await assertLegal(lane);
});

test("every script is known by name, and loads", () => assert.equal(new Set(SCRIPTS).size, SCRIPTS.length));
