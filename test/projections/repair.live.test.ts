import assert from "node:assert/strict";
import { test } from "node:test";
import { sql } from "slonik";
import { beginNewLife } from "../../projections/diverge.ts";
import { LEDGER } from "../../projections/lane-deps.ts";
import { findCheckpoint } from "../../sql/queries/checkpoints.ts";
import { findLives } from "../../sql/queries/lives.ts";
import { countByStatus } from "../../sql/queries/task-runs.ts";
import { enqueue } from "../../streams/enqueue.ts";
import { isEnding } from "../../streams/events.ts";
import { ensureLane, newIncarnation, openLane } from "../../streams/lane.ts";
import { settle } from "../../streams/settle.ts";
import { aRun, aWorker, died, enqueueOne, failed, redisNow, started, succeeded, take } from "../streams/live-lane.ts";
import { eventually } from "../support/servers.ts";
import { type aPool, find, startProjector } from "./lane-fixture.ts";
import { snapshot } from "./time-machine.ts";
import { aWorld, workOff } from "./world-fixture.ts";

/** Every ending that the archive has, by run and life. */
async function endings(pool: Awaited<ReturnType<typeof aPool>>): Promise<Map<string, string[]>> {
  const rows = await find(
    pool,
    sql.unsafe`select run, type, incarnation from ledger_events where run is not null order by ms, seq, index`,
  );
  const ended = new Map<string, string[]>();
  for (const { run, type, incarnation } of rows as { run: string; type: string; incarnation: string }[]) {
    if (!ended.has(run)) ended.set(run, []);
    if (isEnding(type)) ended.get(run)?.push(incarnation);
  }
  return ended;
}

test("after a lost tail what was dispatched comes back under its id, and what had ended goes", async (t) => {
  const { where, pool, redis, lane, projected } = await aWorld(t);
  const projector = startProjector(t, where);
  const wins = await enqueueOne(lane, { body: '{"wins":1}' });
  const dies = await enqueueOne(lane, { body: '{"dies":1}', key: "dies", meta: { keyUntil: 0 } });
  const stays = await enqueueOne(lane);
  const tail = await snapshot(lane);

  const deliveries = await take(lane, "w", 2);
  await settle(lane, { consumer: "w", settlements: deliveries.map((one) => started(one)) });
  const [first, second] = deliveries;
  assert.ok(first && second);
  await settle(lane, { consumer: "w", settlements: [succeeded(first), died(second)] });
  const lost = await enqueueOne(lane, { body: '{"lost":[1,"é"]}', key: "lost" });
  const later = await enqueueOne(lane, { dueAt: (await redisNow(redis)) + 3_600_000 });
  await projected();
  await tail.restore();

  await eventually(() => projector.notices.find((one) => one.kind === "lane.repaired"), { timeoutMs: 20_000 });
  const [told] = projector.notices.filter((one) => one.kind === "lane.repaired");
  assert.deepEqual(told, {
    kind: "lane.repaired",
    queue: "default",
    restoredCount: 2,
    withdrawnCount: 2,
    lostCount: 0,
  });
  assert.equal(await redis.get(lane.keys.key("send", "lost")), lost.run);
  assert.equal(await redis.get(lane.keys.key("send", "dies")), null);
  assert.equal(
    Math.round(Number(await redis.zscore(lane.keys.scheduled, later.run)) / 3_600_000),
    Math.round((Date.now() + 3_600_000) / 3_600_000),
  );
  const dead = (await redis.xrange(lane.keys.dead, "-", "+")) as [string, string[]][];
  assert.deepEqual(
    dead.map(([, fields]) => [fields[1], fields.at(-1)]),
    [[dies.run, '{"dies":1}']],
  );

  const waiting = await take(lane, "w");
  assert.deepEqual(
    waiting.map(({ entry }) => [entry.run, entry.body]).sort(),
    [
      [stays.run, '{"a":1}'],
      [lost.run, '{"lost":[1,"é"]}'],
    ].sort(),
  );
  for (const one of waiting) await settle(lane, { consumer: "w", settlements: [started(one), succeeded(one)] });
  await projected();
  assert.deepEqual(await countByStatus(pool, where.namespace), { died: 1, scheduled: 1, succeeded: 3 });
  const ended = await endings(pool);
  for (const run of [wins.run, dies.run, stays.run, lost.run]) assert.equal(ended.get(run)?.length, 1, run);
});

test("a run goes on with the attempt it was at, and waits for what it waited for", async (t) => {
  const { where, pool, redis, lane, projected } = await aWorld(t);
  startProjector(t, where);
  const empty = await snapshot(lane);
  const retryAt = (await redisNow(redis)) + 600_000;
  const { run } = await enqueueOne(lane);
  const asked = await enqueueOne(lane);
  const [delivery] = await take(lane, "w", 1);
  assert.ok(delivery);
  await settle(lane, { consumer: "w", settlements: [started(delivery)] });
  await settle(lane, { consumer: "w", settlements: [failed(delivery, retryAt)] });
  const note = { type: "run.cancel_requested", run: asked.run, reason: "why not" } as const;
  await settle(lane, { consumer: "w", settlements: [], notes: [{ ...note, at: 5 }] });
  await projected();
  await empty.restore();
  await projected();
  assert.equal(await redis.zscore(lane.keys.scheduled, run), String(retryAt));
  assert.equal(await redis.zscore(lane.keys.cancelled, asked.run), "5");
  assert.deepEqual(await countByStatus(pool, where.namespace), { scheduled: 1, waiting: 1 });
});

test("what a producer or a scheduler has done again by then is not done twice, and what it does again later is known", async (t) => {
  const { where, redis, lane, projected } = await aWorld(t);
  const projector = startProjector(t, where);
  const other = openLane({ redis, namespace: lane.namespace, queue: "default", incarnation: newIncarnation() });
  const before = await snapshot(lane);
  const records = [aRun(lane), aRun(lane)];
  const [early, late] = records as [(typeof records)[0], (typeof records)[0]];
  // Two calls of two producers, of which neither has heard the answer.
  await enqueue(lane, [early]);
  await enqueue(other, [late]);
  const ring = await redis.hgetall(lane.keys.calls(lane.incarnation));
  assert.match(ring["1"] ?? "", /^1 /);
  await projected();
  await before.restore();
  const again = openLane({ redis, namespace: lane.namespace, queue: "default", incarnation: "x" });
  await enqueue(
    { ...again, incarnation: lane.incarnation, header: lane.header, nextCall: async () => ({ number: 1, done() {} }) },
    [early],
  );
  await eventually(() => projector.notices.find((one) => one.kind === "lane.repaired"), { timeoutMs: 20_000 });
  const repeated = await enqueue({ ...other, nextCall: async () => ({ number: 1, done() {} }) }, [late]);
  assert.equal(repeated.entryId(0), undefined);
  assert.deepEqual((await workOff(lane)).sort(), [early.run, late.run].sort());
});

test("a Redis that was emptied gets back every run that had not ended", async (t) => {
  const { where, pool, redis, lane, projected } = await aWorld(t);
  const projector = startProjector(t, where);
  const runs: string[] = [];
  for (let n = 0; n < 450; n += 150) {
    const records = Array.from({ length: 150 }, () => aRun(lane));
    runs.push(...records.map(({ run }) => run));
    await enqueue(lane, records);
  }
  const ended = await workOff(lane);
  await projected();
  const keys = await redis.keys(`${lane.keys.tag}:*`);
  await redis.del(...keys);
  await ensureLane(redis, lane.namespace, "default");
  await eventually(() => projector.notices.find((one) => one.kind === "lane.repaired"), { timeoutMs: 20_000 });
  await aWorker(lane, "w");
  const back: string[] = [];
  for (let got = await workOff(lane); got.length > 0; got = await workOff(lane)) back.push(...got);
  assert.equal(ended.length, 100);
  assert.deepEqual([...ended, ...back].sort(), runs.sort());
  await projected();
  assert.deepEqual(await countByStatus(pool, where.namespace), { succeeded: 450 });
  assert.ok([...(await endings(pool)).values()].every((lives) => lives.length === 1));
});

test("a new life is begun once, also by a projector that still sees the old checkpoint", async (t) => {
  const { where, pool, redis, lane, projected } = await aWorld(t);
  const projector = startProjector(t, where);
  const empty = await snapshot(lane);
  await enqueueOne(lane);
  await projected();
  await projector.stop();
  await empty.restore();
  const checkpoint = await findCheckpoint(pool, `${lane.namespace}:default`, LEDGER);
  assert.ok(checkpoint);
  const begin = () =>
    beginNewLife({ pool, lane, signal: new AbortController().signal }, checkpoint, { expected: "a", found: "b" });
  await Promise.all([begin(), begin(), begin()]);
  const begun = await redis.hget(lane.keys.meta, "incarnation");
  await begin();
  assert.equal(await redis.hget(lane.keys.meta, "incarnation"), begun);
  const lives = await findLives(pool, checkpoint.lane);
  assert.deepEqual(
    lives.map(({ incarnation }) => incarnation),
    [checkpoint.incarnation, begun],
  );
});

test("a repair that is stopped anywhere is finished by the next projector, and done once by several", async (t) => {
  const { where, pool, lane, projected } = await aWorld(t);
  const first = startProjector(t, where);
  const ends = await enqueueOne(lane);
  const tail = await snapshot(lane);
  await workOff(lane);
  const runs = (await Promise.all(Array.from({ length: 40 }, () => enqueueOne(lane)))).map(({ run }) => run);
  await projected();
  await first.stop();
  await tail.restore();
  // Each is stopped a little later than the one before.
  for (let round = 0; round < 4; round += 1) {
    const some = [0, 1].map(() => startProjector(t, where));
    await new Promise((resolve) => setTimeout(resolve, 40 + round * 80)); // a point in its work, whichever that is
    await Promise.all(some.map((one) => one.stop()));
    assert.equal(await lane.redis.hget(lane.keys.meta, "repair"), null); // nobody has to wait for a claim to lapse
  }
  const several = [0, 1, 2].map(() => startProjector(t, where));
  await projected();
  assert.ok(several.every(({ projector }) => projector.health().isLive));
  const back: string[] = [];
  for (let got = await workOff(lane); got.length > 0; got = await workOff(lane)) back.push(...got);
  assert.deepEqual(back.sort(), runs.sort());
  await projected();
  const all = await endings(pool);
  assert.ok([ends.run, ...runs].every((run) => all.get(run)?.length === 1));
  const lives = await find(
    pool,
    sql.unsafe`select number, repaired_at is not null as repaired from lane_incarnations order by number`,
  );
  assert.deepEqual(lives, [
    { number: 1, repaired: true },
    { number: 2, repaired: true },
  ]);
});
