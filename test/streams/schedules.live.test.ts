import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Lane } from "../../streams/lane.ts";
import { cancel, type Firing, fire, promote } from "../../streams/schedules.ts";
import { settle } from "../../streams/settle.ts";
import {
  aRun,
  assertLegal,
  enqueueMany,
  enqueueOne,
  failed,
  fireOne,
  freshLane,
  ledger,
  privateRedis,
  redis,
  redisNow,
  sameLane,
  started,
  take,
  takeOne,
  types,
} from "./live-lane.ts";

const FAR = 4_000_000_000_000;
/** So many runs that are due later, made due. */
async function dueRuns(lane: Lane, count: number, body = "1"): Promise<string[]> {
  const runs = await enqueueMany(lane, count, () => ({ dueAt: FAR, body }));
  const { scheduled } = lane.keys;
  await lane.redis.zadd(scheduled, ...runs.flatMap((run, index) => [String(index + 1), run]));
  return runs;
}

describe("promote", () => {
  test("moves what is due to the stream that is read first, in the order of its time, and nothing else", async () => {
    const lane = await freshLane(redis);
    await enqueueOne(lane);
    const { run: later } = await enqueueOne(lane, { dueAt: FAR });
    const runs = await dueRuns(lane, 3);
    const promoted = await promote(lane);
    assert.deepEqual([promoted.movedCount, promoted.nextDueAt, promoted.cancelRequests], [3, FAR, 0]);
    assert.deepEqual(await redis.hkeys(lane.keys.scheduledEntries), [later]);
    const read = await take(lane, "w");
    assert.deepEqual(
      read.slice(0, 3).map(({ stream, entry }) => [stream, entry.run]),
      runs.map((run) => [2, run]),
    );
    assert.equal(read[3]?.stream, 1);
    assert.deepEqual(await types(lane, runs[0]), ["run.enqueued", "run.due"]);
    assert.deepEqual(await types(lane, later), ["run.enqueued"]);
    assert.equal((await promote(lane)).movedCount, 0);
    await assertLegal(lane);
  });

  test("says when it was by Redis' clock, whatever the caller's clock says, and in which trace", async () => {
    const lane = await freshLane(redis);
    const traceparent = `00-${"a".repeat(32)}-${"b".repeat(16)}-01`;
    const { run } = await enqueueOne(lane, { dueAt: FAR, meta: { traceparent } });
    await redis.zadd(lane.keys.scheduled, 1, run);
    await promote({ ...lane, clock: { ...lane.clock, now: () => 5 } });
    const due = (await ledger(lane)).find(({ type }) => type === "run.due") as unknown as Record<string, unknown>;
    assert.ok(Math.abs((due.at as number) - (await redisNow(redis))) < 2_000);
    assert.deepEqual([due.traceparent, due.traceId], [traceparent, "a".repeat(32)]);
  });

  test("moves at most a call's worth: five hundred runs", async () => {
    const lane = await freshLane(redis);
    await dueRuns(lane, 500);
    await dueRuns(lane, 20);
    assert.equal((await promote(lane)).movedCount, 500);
    assert.equal((await promote(lane)).movedCount, 20);
  });

  test("moves at most 256 KiB of input, and one larger run alone", async () => {
    const lane = await freshLane(redis);
    await dueRuns(lane, 5, `"${"x".repeat(100_000)}"`);
    assert.equal((await promote(lane)).movedCount, 2);
    assert.equal((await promote(lane)).movedCount, 2);
    assert.equal((await promote(lane)).movedCount, 1);
    const large = await freshLane(redis);
    await dueRuns(large, 2, `"${"x".repeat(300_000)}"`);
    assert.equal((await promote(large)).movedCount, 1);
    assert.equal((await promote(large)).movedCount, 1);
    assert.equal((await take(large, "w")).length, 2);
  });

  test("tells as lost what was scheduled and has no entry any more", async () => {
    const lane = await freshLane(redis);
    const { run } = await enqueueOne(lane, { dueAt: FAR });
    await redis.hdel(lane.keys.scheduledEntries, run);
    await redis.zadd(lane.keys.scheduled, 1, run);
    await promote(lane);
    assert.deepEqual(await types(lane, run), ["run.enqueued", "run.lost"]);
    assert.ok((await assertLegal(lane)).has(run));
  });

  test("by several at once moves each run once, with batches of their own", async () => {
    const lane = await freshLane(redis);
    await dueRuns(lane, 100);
    await Promise.all([promote(lane), promote(lane), promote(sameLane(lane)), promote(sameLane(lane))]);
    assert.equal((await take(lane, "w")).length, 100);
    assert.equal((await types(lane)).filter((type) => type === "run.due").length, 100);
  });

  test("works when memory is full, and after SCRIPT FLUSH", async () => {
    await using server = await privateRedis();
    const lane = await freshLane(server.redis);
    await dueRuns(lane, 2);
    await server.fill();
    await server.redis.script("FLUSH");
    assert.equal((await promote(lane, { deadline: performance.now() + 1_000 })).movedCount, 2);
  });

  test("leaves other lanes alone", async () => {
    const [lane, other] = [await freshLane(redis), await freshLane(redis)];
    await dueRuns(other, 1);
    assert.equal((await promote(lane)).movedCount, 0);
    assert.equal(await redis.zcard(other.keys.scheduled), 1);
  });
});

describe("cancel", () => {
  test("ends a scheduled run at once", async () => {
    const lane = await freshLane(redis);
    const { run } = await enqueueOne(lane, { dueAt: FAR });
    assert.equal(await cancel(lane, { run, reason: 'no "more"' }), "cancelled");
    assert.equal(await redis.exists(lane.keys.scheduled, lane.keys.scheduledEntries, lane.keys.cancelled), 0);
    assert.deepEqual(await types(lane, run), ["run.enqueued", "run.cancel_requested", "run.cancelled"]);
    const event = (await ledger(lane)).at(-1) as unknown as Record<string, unknown>;
    assert.deepEqual([event.task, event.reason], ["send", 'no "more"']);
    assert.ok((await assertLegal(lane)).has(run));
  });

  test("ends a retry that waits for its time", async () => {
    const lane = await freshLane(redis);
    const { run } = await enqueueOne(lane);
    const delivery = await takeOne(lane, "w");
    await settle(lane, { consumer: "w", settlements: [started(delivery), failed(delivery, FAR)] });
    assert.equal(await cancel(lane, { run }), "cancelled");
    assert.ok((await assertLegal(lane)).has(run));
  });

  test("ends a waiting run whose entry is known", async () => {
    const lane = await freshLane(redis);
    const { run, enqueued } = await enqueueOne(lane);
    const entryId = enqueued.entryId(0);
    assert.equal(await cancel(lane, { run: "another", entryId }), "requested");
    assert.equal(await cancel(lane, { run, entryId }), "cancelled");
    assert.equal(await redis.xlen(lane.keys.tasks), 0);
    assert.ok((await assertLegal(lane)).has(run));
  });

  test("asks for the end of a run that a worker holds, once", async () => {
    const lane = await freshLane(redis);
    const { run, enqueued } = await enqueueOne(lane);
    await takeOne(lane, "w");
    assert.equal(await cancel(lane, { run, entryId: enqueued.entryId(0), task: "send" }), "requested");
    assert.equal(await cancel(lane, { run }), "already");
    assert.deepEqual(await types(lane, run), ["run.enqueued", "run.cancel_requested"]);
    assert.equal(await redis.xlen(lane.keys.tasks), 1);
    assert.equal(await redis.zcard(lane.keys.cancelled), 1);
  });

  test("asks for the end of a waiting run whose entry is not known, and of one that nobody knows", async () => {
    const lane = await freshLane(redis);
    const { run } = await enqueueOne(lane);
    assert.equal(await cancel(lane, { run }), "requested");
    assert.equal(await cancel(lane, { run: "x", entryId: "no id" }).catch(() => "refused"), "refused");
    assert.equal(await cancel(lane, { run: "x", entryId: "5-5" }), "requested");
  });

  test("lets the idempotency key go as an ending does: with the run, or at its time", async () => {
    for (const dueAt of [0, FAR]) {
      const lane = await freshLane(redis);
      const keyUntil = (await redisNow(redis)) + 60_000;
      const ends = await enqueueOne(lane, { key: "ends", dueAt, meta: { keyUntil: 0 } });
      const stays = await enqueueOne(lane, { key: "stays", dueAt, meta: { keyUntil } });
      for (const { run, enqueued } of [ends, stays])
        assert.equal(await cancel(lane, { run, entryId: enqueued.entryId(0) }), "cancelled");
      assert.equal(await redis.exists(lane.keys.key("send", "ends")), 0);
      const ttl = await redis.pttl(lane.keys.key("send", "stays"));
      assert.ok(ttl > 50_000 && ttl <= 60_000, `${ttl}`);
    }
  });

  test("takes an earlier request of the same run away with it", async () => {
    const lane = await freshLane(redis);
    const { run, enqueued } = await enqueueOne(lane);
    assert.equal(await cancel(lane, { run }), "requested");
    assert.equal(await cancel(lane, { run, entryId: enqueued.entryId(0) }), "cancelled");
    assert.equal(await redis.exists(lane.keys.cancelled), 0);
    await assertLegal(lane);
  });

  test("ends an entry that a deleted consumer left behind, with its strikes", async () => {
    const lane = await freshLane(redis);
    const { run, enqueued } = await enqueueOne(lane);
    const delivery = await takeOne(lane, "w");
    await settle(lane, { consumer: "w", settlements: [started(delivery, "w", true)] });
    await redis.xgroup("DELCONSUMER", lane.keys.tasks, "workers", "w");
    assert.equal(await cancel(lane, { run, entryId: enqueued.entryId(0) }), "cancelled");
    assert.equal(await redis.exists(lane.keys.strikes), 0);
    await assertLegal(lane);
  });

  test("gives the same answer again, and does nothing, when its answer was lost", async () => {
    const lane = await freshLane(redis);
    const { run } = await enqueueOne(lane, { dueAt: FAR });
    const stuck = { ...lane, nextCall: async () => ({ number: 7, done() {} }) };
    assert.equal(await cancel(stuck, { run }), "cancelled");
    assert.equal(await cancel(stuck, { run }), "cancelled");
    assert.equal(await redis.exists(lane.keys.cancelled), 0);
    assert.deepEqual(await types(lane, run), ["run.enqueued", "run.cancel_requested", "run.cancelled"]);
  });

  test("works when memory is full, and after SCRIPT FLUSH", async () => {
    await using server = await privateRedis();
    const lane = await freshLane(server.redis);
    const { run } = await enqueueOne(lane, { dueAt: FAR });
    await server.fill();
    await server.redis.script("FLUSH");
    const limits = { deadline: performance.now() + 1_000 };
    assert.equal(await cancel(lane, { run }, limits), "cancelled");
    assert.equal(await cancel(lane, { run: "running" }, limits), "requested");
  });

  test("leaves other lanes alone", async () => {
    const [lane, other] = [await freshLane(redis), await freshLane(redis)];
    const { run } = await enqueueOne(other, { dueAt: FAR });
    assert.equal(await cancel(lane, { run }), "requested");
    assert.equal(await redis.zcard(other.keys.scheduled), 1);
    assert.equal(await redis.zcard(other.keys.cancelled), 0);
  });
});

describe("fire", () => {
  const SLOT = 60_000;
  const event = {
    type: "slot.missed",
    schedule: "s",
    task: "send",
    slot: SLOT,
    until: SLOT,
    missedCount: 1,
    reason: "x",
  } as const;

  test("moves a schedule on by one of several, with its run, once", async () => {
    const lane = await freshLane(redis);
    const one = () => {
      const record = aRun(lane);
      const run = { id: record.run, task: "send", expires: 0, meta: record.meta, body: record.body };
      return fireOne(sameLane(lane), { schedule: "s", last: undefined, slot: SLOT, events: [record.event], run });
    };
    const all = await Promise.all([one(), one(), one()]);
    assert.equal(all.filter(({ isFired }) => isFired).length, 1);
    assert.equal((await take(lane, "w")).length, 1);
    assert.deepEqual(await types(lane), ["run.enqueued"]);
    await assertLegal(lane);
  });

  test("without a run records what became of the slot", async () => {
    const lane = await freshLane(redis);
    assert.equal((await fireOne(lane, { schedule: "s", last: undefined, slot: SLOT, events: [event] })).isFired, true);
    assert.equal((await fireOne(lane, { schedule: "s", last: undefined, slot: SLOT, events: [event] })).isFired, false);
    assert.equal((await fireOne(lane, { schedule: "s", last: SLOT, slot: SLOT * 2, events: [] })).isFired, true);
    assert.deepEqual(await types(lane), ["slot.missed"]);
  });

  test("moves many schedules on in one call and one batch; what is refused for one changes nothing for the others", async () => {
    const lane = await freshLane(redis);
    const firings = Array.from({ length: 5 }, (_, index): Firing => {
      const { run: id, meta, body, event: enqueued } = aRun(lane);
      return {
        schedule: `s${index}`,
        last: undefined,
        slot: SLOT,
        events: [enqueued],
        run: { id, task: "send", expires: 0, meta, body },
      };
    });
    const [first, second, third, fourth] = firings as [Firing, Firing, Firing, Firing];
    await fireOne(lane, second);
    const early = { ...third, slot: Date.now() + SLOT };
    const all = await fire(lane, [first, second, early, { ...fourth, definition: "old" }, firings[4] as Firing, first]);
    assert.deepEqual(
      all.map((one) => (one.isFired ? "fired" : one.why)),
      ["fired", "taken", "early", "changed", "fired", "taken"],
    );
    const ran = [second, first, firings[4] as Firing].map(({ run }) => run?.id);
    assert.deepEqual(
      (await take(lane, "w")).map(({ entry }) => entry.run),
      ran,
    );
    assert.deepEqual(
      (await ledger(lane)).map((event) => (event as { run?: string }).run),
      ran,
    );
    assert.equal(await redis.xlen(lane.keys.events), 2);
    await assertLegal(lane);
  });

  test("is refused by a full memory, and has not moved the schedule then", async () => {
    await using server = await privateRedis();
    const lane = await freshLane(server.redis);
    const record = aRun(lane);
    const run = { id: record.run, task: "send", expires: 0, meta: record.meta, body: record.body };
    const firing = { schedule: "s", last: undefined, slot: SLOT, events: [record.event], run };
    await server.fill();
    await assert.rejects(fireOne(lane, firing, { deadline: performance.now() + 500 }), /OOM/);
    await server.empty();
    assert.equal((await fireOne(lane, firing)).isFired, true);
    assert.equal(await server.redis.xlen(lane.keys.tasks), 1);
  });
});
