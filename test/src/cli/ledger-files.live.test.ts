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
import { documents, tasktrail } from "./tasktrail.ts";

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
  const bad = await tasktrail(["import", "-", "--into", "third"], { ...into, input: '{"a":1}\n' });
  assert.match(bad.err, /no exported ledger/);
});
