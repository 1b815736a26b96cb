import assert from "node:assert/strict";
import { test } from "node:test";
import { idOf } from "../../projections/read.ts";
import { LedgerGap } from "../../projections/read-lane.ts";
import { type LedgerQuery, readLedger } from "../../projections/read-ledger.ts";
import { findCheckpoint } from "../../sql/queries/checkpoints.ts";
import { openRedis, ready } from "../../streams/connect.ts";
import { createRunIds } from "../../streams/ids.ts";
import { compareIds } from "../../streams/ledger.ts";
import { aLane, aRecorder, startProjector } from "./lane-fixture.ts";

const ids = createRunIds("default");
const newRuns = (count: number) => Array.from({ length: count }, () => ids(Date.now()));
const enqueued = (run: string) => ({ type: "run.enqueued", run, task: "noop" });
const runOf = (event: object) => (event as { run: string }).run;

async function setUp(t: Parameters<typeof aLane>[0]) {
  const lane = await aLane(t);
  const source = { namespace: lane.where.namespace, redis: lane.redis, pool: lane.pool };
  const read = async (query: LedgerQuery = {}, from: Parameters<typeof readLedger>[0] = source) =>
    (await Array.fromAsync(readLedger(from, query))).filter(({ type }) => type === "run.enqueued").map(runOf);
  /** Projects what is there, and stops. */
  const project = async () => {
    const [end] = await lane.redis.xrevrange(lane.keys.events, "+", "-", "COUNT", 1);
    const projector = startProjector(t, lane.where);
    for (;;) {
      const checkpoint = await findCheckpoint(lane.pool, `${lane.where.namespace}:default`, "ledger");
      const life = await lane.redis.hget(lane.keys.meta, "incarnation");
      // A new life has events of its own at its end.
      if (checkpoint?.incarnation === life && compareIds(idOf(checkpoint), end?.[0] ?? "0-0") >= 0) break;
      await new Promise(setImmediate);
    }
    await projector.stop();
  };
  const trimAllButLast = () => lane.redis.xtrim(lane.keys.events, "MAXLEN", 1);
  return { ...lane, source, read, project, trimAllButLast };
}

test("archive and tail are read as one, in order, each event once", async (t) => {
  const { source, read, project, record, trimAllButLast } = await setUp(t);
  const runs = newRuns(120);
  for (const run of runs.slice(0, 80)) await record(enqueued(run));
  await project();
  for (const run of runs.slice(80)) await record(enqueued(run));
  assert.deepEqual(await read(), runs);
  assert.deepEqual(await read({}, { ...source, pool: undefined }), runs);
  await project();
  await trimAllButLast();
  assert.deepEqual(await read(), runs, "the tail has one entry left");
  assert.deepEqual(await read({ until: 0 }), []);
  const middle = (await Array.fromAsync(readLedger(source)))[60];
  const late = await read({ from: Number(middle?.position?.split("/")[2]?.split("-")[0]) });
  assert.equal(late.at(-1), runs.at(-1));
  assert.ok(late.includes(runs[60] as string) && late.length <= 120);
});

test("nothing is lost or doubled when all that was read is archived and trimmed under the reader", async (t) => {
  const { source, project, record, trimAllButLast } = await setUp(t);
  const runs = newRuns(100);
  for (const run of runs.slice(0, 60)) await record(enqueued(run));
  const seen: string[] = [];
  let next = 60;
  for await (const event of readLedger(source)) {
    seen.push(runOf(event));
    if (seen.length % 20 !== 5) continue;
    for (const run of runs.slice(next, next + 10)) await record(enqueued(run));
    next += 10;
    await project();
    await trimAllButLast();
  }
  assert.deepEqual(seen, runs.slice(0, seen.length));
  assert.ok(seen.length >= 60, "at least what was there when it began");
});

test("several lanes are read by the time of their entries", async (t) => {
  const { where, source, record, read } = await setUp(t);
  const other = await aRecorder(t, where.redis, where.namespace, "other");
  const runs = newRuns(60);
  for (const [n, run] of runs.entries()) {
    await (n % 3 === 0 ? other.record(enqueued(run)) : record(enqueued(run)));
    await new Promise((resolve) => setTimeout(resolve, 2)); // ids are milliseconds: those of one have no order among lanes
  }
  assert.deepEqual(await read(), runs);
  assert.deepEqual(
    await read({ queues: ["other"] }),
    runs.filter((_, n) => n % 3 === 0),
  );
  const [, , third] = runs;
  assert.deepEqual(await read({ run: third }), [third]);
  assert.deepEqual(await read({ task: "other" }), []);
  assert.deepEqual(await read({ types: ["run.started"] }), []);
  assert.equal(
    (await Array.fromAsync(readLedger({ ...source, pool: undefined }, { types: ["run.enqueued"] }))).length,
    60,
  );
});

test("a reader that follows has what is recorded later, of new queues too, until it is stopped", async (t) => {
  const { where, source, record } = await setUp(t);
  const blocking = await openRedis(where.redis, "follow");
  t.after(() => blocking.disconnect(false));
  await ready(blocking, 5_000);
  const runs = newRuns(30);
  for (const run of runs.slice(0, 10)) await record(enqueued(run));
  const stopping = new AbortController();
  const seen: string[] = [];
  for await (const event of readLedger(source, { follow: true, signal: stopping.signal, blocking })) {
    seen.push(runOf(event));
    if (seen.length === 10) for (const run of runs.slice(10, 20)) void record(enqueued(run));
    if (seen.length === 20) {
      const other = await aRecorder(t, where.redis, where.namespace, "new");
      for (const run of runs.slice(20)) await other.record(enqueued(run));
    }
    if (seen.length === 30) setImmediate(() => stopping.abort());
  }
  assert.deepEqual(seen, runs);
});

test("a reader that follows goes on when its connections break", async (t) => {
  const { where, source, record } = await setUp(t);
  const [redis, blocking] = await Promise.all([openRedis(where.redis, "read"), openRedis(where.redis, "follow")]);
  t.after(() => [redis, blocking].map((one) => one.disconnect(false)));
  await Promise.all([ready(redis, 5_000), ready(blocking, 5_000)]);
  const runs = newRuns(3);
  await record(enqueued(runs[0] as string));
  const stopping = new AbortController();
  const seen: string[] = [];
  for await (const event of readLedger({ ...source, redis }, { follow: true, signal: stopping.signal, blocking })) {
    seen.push(runOf(event));
    redis.disconnect(true);
    blocking.disconnect(true);
    if (seen.length < 3) await record(enqueued(runs[seen.length] as string));
    else stopping.abort();
  }
  assert.deepEqual(seen, runs);
});

test("the lives of a lane are read one after the other", async (t) => {
  const { read, project, record, redis, keys } = await setUp(t);
  const runs = newRuns(9);
  for (const [life, three] of [runs.slice(0, 3), runs.slice(3, 6), runs.slice(6)].entries()) {
    for (const run of three) await record(enqueued(run));
    if (life === 2) break; // the last one is not archived
    await project();
    await redis.del(keys.events, keys.meta);
  }
  assert.deepEqual(await read(), runs);
});

test("without an archive, a reader that was overtaken by the trimming says so", async (t) => {
  const { source, record, trimAllButLast } = await setUp(t);
  for (const run of newRuns(60)) await record(enqueued(run));
  const reading = Array.fromAsync(readLedger({ ...source, pool: undefined }), async (event) => {
    await trimAllButLast();
    return event;
  });
  await assert.rejects(reading, (error) => error instanceof LedgerGap && /no archive is at hand/.test(error.message));
});
