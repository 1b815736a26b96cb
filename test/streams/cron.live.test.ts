import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Redis } from "ioredis";
import { openRedis, ready } from "../../streams/connect.ts";
import { confirmDeclared, declareSchedule, readSchedules, scheduleNames } from "../../streams/cron.ts";
import { type Lane, newIncarnation, openLane } from "../../streams/lane.ts";
import { readEntries } from "../../streams/ledger.ts";
import { testNamespace, testRedis } from "../support/servers.ts";
import { fireOne } from "./live-lane.ts";

let redis: Redis;
before(async () => {
  redis = await openRedis(await testRedis(), "tool");
  assert.ok(await ready(redis, 5_000));
});
after(() => redis.disconnect());

function testLane(): Lane {
  return openLane({ redis, namespace: testNamespace(), queue: "default", incarnation: newIncarnation() });
}

const upserted = {
  type: "schedule.upserted",
  schedule: "sync",
  task: "sync",
  expression: "* * * * *",
  timezone: "UTC",
  source: "declared",
} as const;

test("of several schedulers that declare at once, one writes and the others are told what it wrote", async () => {
  const lane = testLane();
  const declare = (definition: string) =>
    declareSchedule(lane, { schedule: "sync", known: undefined, definition, events: [upserted] });
  const answers = await Promise.all([declare("a"), declare("b"), declare("c")]);
  assert.deepEqual(answers.filter((one) => one.isWritten).length, 1);
  const [kept] = await readSchedules(lane, ["sync"]);
  for (const one of answers) if (!one.isWritten) assert.equal(one.definition, kept?.definition);
  assert.equal((await readEntries(redis, lane.keys, { from: "-", count: 10 })).length, 1);
  assert.ok(Math.abs((kept?.seenAt ?? 0) - lane.clock.now()) < 5_000);
});

test("a schedule is read with all that is kept of it, and one that is not there with nothing", async () => {
  const lane = testLane();
  const standing = { last: 120_000, fired: 60_000, firedCount: 7 };
  await declareSchedule(lane, { schedule: "sync", known: undefined, definition: "a", events: [], standing });
  const [none, sync] = await readSchedules(lane, ["none", "sync"]);
  assert.deepEqual(none, {
    last: undefined,
    fired: undefined,
    firedCount: 0,
    definition: undefined,
    seenAt: undefined,
    since: undefined,
    past: "",
  });
  assert.deepEqual({ ...sync, seenAt: 0 }, { ...standing, definition: "a", seenAt: 0, since: undefined, past: "" });
  assert.deepEqual(await scheduleNames(lane), ["sync"]);
});

test("a removed schedule leaves nothing behind", async () => {
  const lane = testLane();
  await declareSchedule(lane, { schedule: "sync", known: undefined, definition: "a", events: [] });
  await fireOne(lane, { schedule: "sync", last: undefined, slot: 60_000, events: [], run: aRun });
  const removal = { schedule: "sync", definition: undefined, events: [] };
  assert.equal((await declareSchedule(lane, { ...removal, known: "b" })).isWritten, false);
  assert.equal((await declareSchedule(lane, { ...removal, known: "a" })).isWritten, true);
  assert.deepEqual(await redis.hkeys(lane.keys.cron), ["revision"]);
});

test("confirming moves the time at which a schedule was last declared", async () => {
  const lane = testLane();
  await redis.hset(lane.keys.cron, { "definition:sync": "a", "seen:sync": 1 });
  await confirmDeclared(lane, ["sync"]);
  await confirmDeclared(lane, []);
  const [kept] = await readSchedules(lane, ["sync"]);
  assert.ok((kept?.seenAt ?? 0) > 1_000_000);
});

const aRun = { id: "0198c2f0-0000-5000-8000-000000000000", task: "sync", expires: 0, meta: "{}", body: "" };

test("a slot with a run is counted, and who comes late is told where the schedule stands", async () => {
  const lane = testLane();
  const first = { schedule: "sync", last: undefined, slot: 60_000, events: [], run: aRun };
  assert.equal((await fireOne(lane, first)).isFired, true);
  const missed = { schedule: "sync", last: 60_000, slot: 180_000, events: [] };
  assert.equal((await fireOne(lane, missed)).isFired, true);
  assert.deepEqual(await fireOne(lane, first), {
    isFired: false,
    why: "taken",
    standing: { last: 180_000, fired: 60_000, firedCount: 1 },
  });
});

test("a schedule that was changed since it was read does not fire", async () => {
  const lane = testLane();
  await declareSchedule(lane, { schedule: "sync", known: undefined, definition: "new", events: [] });
  const firing = { schedule: "sync", last: undefined, slot: 60_000, events: [], run: aRun };
  assert.deepEqual(await fireOne(lane, { ...firing, definition: "old" }), { isFired: false, why: "changed" });
  assert.equal(await redis.exists(lane.keys.tasks), 0);
  assert.equal((await fireOne(lane, { ...firing, definition: "new" })).isFired, true);
});

test("a slot does not fire before its time on Redis' clock", async () => {
  const lane = testLane();
  const slot = Date.now() + 60_000;
  const early = await fireOne(lane, { schedule: "sync", last: undefined, slot, events: [upserted], run: aRun });
  assert.deepEqual(early, { isFired: false, why: "early" });
  assert.equal(await redis.exists(lane.keys.tasks, lane.keys.events, lane.keys.cron), 0);
});
