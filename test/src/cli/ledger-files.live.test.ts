import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { zstdDecompressSync } from "node:zlib";
import { countByStatus } from "../../../sql/queries/task-runs.ts";
import { aPool, startProjector } from "../../projections/lane-fixture.ts";
import { eventually, testDatabase, testNamespace, testRedis } from "../../support/servers.ts";
import { seedLane } from "./seeded-lane.ts";
import { documents, ended, startTasktrail, tasktrail } from "./tasktrail.ts";

const REDIS_URL = await testRedis();
const folder = await mkdtemp(join(tmpdir(), "tasktrail-export-"));
after(() => rm(folder, { recursive: true, force: true }));

test("a ledger is exported from archive and tail, and imported under another name, where it tells the same", async (t) => {
  const TASKTRAIL_NAMESPACE = testNamespace();
  const DATABASE_URL = await testDatabase();
  const env = { REDIS_URL, DATABASE_URL, TASKTRAIL_NAMESPACE };
  const pool = await aPool(t, DATABASE_URL);
  using lane = await seedLane(REDIS_URL, TASKTRAIL_NAMESPACE);
  const run = await lane.add("send");
  await lane.succeed();
  await lane.add("send");
  await lane.die("no");
  const projector = startProjector(t, { redis: REDIS_URL, database: DATABASE_URL, namespace: TASKTRAIL_NAMESPACE });
  await eventually(async () => (await countByStatus(pool, TASKTRAIL_NAMESPACE)).died === 1);
  await projector.stop();
  await lane.add("waits"); // in the tail alone

  const file = join(folder, "ledger.ndjson.zst");
  const written = await tasktrail(["export", file], { env });
  assert.equal(written.code, 0, written.err);
  assert.match(written.err, /7 events in \d entries of 1 queue written/);
  const lines = zstdDecompressSync(await readFile(file))
    .toString()
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
  assert.deepEqual(
    [lines[0].tasktrail, lines[0].format, lines[0].namespace, lines[0].isWhole],
    ["ledger", 1, TASKTRAIL_NAMESPACE, true],
  );
  assert.equal(lines[1].events[0].run, run);

  const same = await tasktrail(["import", file, "--into", "elsewhere"], { env });
  assert.equal(same.code, 1);
  assert.match(same.err, /already known in this database, in namespace/);
  const other = await testDatabase();
  const into = { env: { ...env, DATABASE_URL: other } };
  const [done] = documents(await tasktrail(["import", file, "--into", "elsewhere", "--json"], into));
  assert.deepEqual([done.queues, done.eventCount, done.parkedCount], [["default"], 7, 0]);
  assert.deepEqual(await countByStatus(await aPool(t, other), "elsewhere"), { succeeded: 1, died: 1, waiting: 1 });
  const again = await tasktrail(["import", file, "--into", "elsewhere"], into);
  assert.equal(again.code, 1);
  assert.match(again.err, /has a history of its own/);

  // Nobody goes on with it: what waits there is not to be run.
  const { notices } = startProjector(t, {
    redis: REDIS_URL,
    database: other,
    namespace: "elsewhere",
    queues: ["default"],
  });
  const told = await eventually(() =>
    notices.find((one) => one.kind === "problem" && String(one.error).includes("imported ledger")),
  );
  assert.ok(told);

  const told2 = await tasktrail(["history", run], { env });
  assert.match(
    told2.out,
    /run\.enqueued[\s\S]*\+\d+m?s +run\.started[\s\S]*run\.succeeded[\s\S]*3 events, .* in all, succeeded/,
  );
  const part = await tasktrail(["export", "--run", run], { env });
  assert.deepEqual(
    documents(part)
      .slice(1)
      .flatMap(({ events }) => events.map(({ type }: { type: string }) => type)),
    ["run.enqueued", "run.started", "run.succeeded"],
  );
  const started = await tasktrail(["export", "--task", "send", "--type", "run.started"], { env });
  const [head, ...rest] = documents(started);
  assert.equal(head.isWhole, false);
  assert.deepEqual(
    rest.flatMap(({ events }) => events.map(({ type }: { type: string }) => type)),
    ["run.started", "run.started"],
  );
  const bad = await tasktrail(["import", "-", "--into", "third"], { ...into, input: '{"a":1}\n' });
  assert.match(bad.err, /no exported ledger/);
});

test("events are told from archive and tail as one, between two times, and followed from there", async (t) => {
  const TASKTRAIL_NAMESPACE = testNamespace();
  const DATABASE_URL = await testDatabase();
  const env = { REDIS_URL, DATABASE_URL, TASKTRAIL_NAMESPACE };
  const pool = await aPool(t, DATABASE_URL);
  using lane = await seedLane(REDIS_URL, TASKTRAIL_NAMESPACE);
  const run = await lane.add("old");
  await lane.succeed();
  const settings = { keepMs: 0, keepBytes: 1, trimEveryMs: 20 };
  const where = { redis: REDIS_URL, database: DATABASE_URL, namespace: TASKTRAIL_NAMESPACE };
  const projector = startProjector(t, { ...where, settings });
  await eventually(async () => (await countByStatus(pool, TASKTRAIL_NAMESPACE)).succeeded === 1);
  await projector.stop();
  const { redis, keys } = lane.lane;
  const [last] = (await redis.xrevrange(keys.events, "+", "-", "COUNT", 1)) as [string, string[]][];
  await redis.xtrim(keys.events, "MINID", last?.[0] ?? "");
  await eventually(async () => Number((await redis.time())[0]) * 1_000 > Number(last?.[0].split("-")[0]) + 1_000);
  await lane.add("new"); // in the tail alone
  const types = async (...args: string[]) =>
    documents(await tasktrail(["events", "--json", ...args], { env })).map(({ type, task }) => `${type} ${task}`);
  const archived = ["run.enqueued old", "run.started old", "run.succeeded old"];
  assert.deepEqual(await types(), [...archived, "run.enqueued new"]);
  assert.deepEqual(await types("--limit", "2", "--type", "run.enq*"), ["run.enqueued old", "run.enqueued new"]);
  assert.deepEqual(await types("--run", run), archived);
  const end = new Date(Number(last?.[0].split("-")[0]) + 500).toISOString();
  assert.deepEqual(await types("--until", end), archived);
  assert.deepEqual(await types("--since", end), ["run.enqueued new"]);
  const { DATABASE_URL: _none, ...tailOnly } = env;
  assert.equal(documents(await tasktrail(["events", "--json"], { env: tailOnly })).length, 3);

  const child = startTasktrail(["events", "--follow", "--json", "--limit", "1"], { env });
  const seen: string[] = [];
  child.stdout?.on("data", (chunk) => seen.push(...[...String(chunk).matchAll(/"task":"(\w+)"/g)].map(String)));
  const over = ended(child);
  await eventually(() => seen.length === 1);
  await lane.add("newest");
  await eventually(() => seen.length === 2);
  child.kill("SIGINT");
  assert.equal((await over).code, 0);
});
