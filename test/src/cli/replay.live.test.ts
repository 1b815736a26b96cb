import assert from "node:assert/strict";
import { test } from "node:test";
import { sql } from "slonik";
import type { OwnDefinition } from "../../../projections/own.ts";
import { failures } from "../../examples/projections/failures.ts";
import { startReceiver } from "../../otel/receiver.ts";
import { find, startProjector } from "../../projections/lane-fixture.ts";
import { aHistory, sizeOfTable, textOf } from "../../projections/replay-fixture.ts";
import { eventually, testDatabase } from "../../support/servers.ts";
import { tasktrail } from "./tasktrail.ts";

test("a table is compared with its history, mended, and made anew when it is gone", async (t) => {
  const { pool, where } = await aHistory(t, 25);
  const env = { DATABASE_URL: where.database, TASKTRAIL_NAMESPACE: where.namespace };
  const replay = (...args: string[]) => tasktrail(["replay", ...args], { env });
  const before = await textOf(pool, "task_runs");
  const clean = await replay("task_runs", "--verify");
  assert.deepEqual([clean.code, clean.out], [0, "0 of 25 rows differ.\n"], clean.err);
  assert.match(clean.err, /task_runs: \d+ of \d+ events folded; comparing/);

  await pool.query(sql.unsafe`update task_runs set status = 'lost' where status = 'died'`);
  await using receiver = await startReceiver();
  const differing = await tasktrail(["replay", "task_runs", "--verify"], { env: { ...env, ...receiver.env } });
  assert.equal(differing.code, 1);
  const span = await receiver.waitFor((spans) => spans.find(({ name }) => name === "replay task_runs"));
  assert.deepEqual([span.attributes["tasktrail.mode"], span.attributes["tasktrail.rows"]], ["verify", 5]);
  assert.match(differing.out, /differs {2}run\.died at default\/[0-9a-f]+\/\d+-\d+\/\d+/);
  assert.match(differing.out, /status: "lost" is to be "died"/);
  assert.match(differing.out, /5 of 25 rows differ: 5 changed\.\n$/);
  assert.match((await replay("task_runs", "--dry-run")).out, /^5 of 25 rows differ: 5 changed\.\n$/);

  await pool.query(sql.unsafe`drop table task_runs`);
  const anew = await replay("task_runs", "--json");
  assert.equal(anew.code, 0, anew.err);
  assert.match(anew.err, /The table task_runs is gone, and is made anew\./);
  const { projection, insert } = JSON.parse(anew.out) as { projection: string; insert: number };
  assert.deepEqual([projection, insert], ["task_runs", 25]);
  assert.deepEqual(await textOf(pool, "task_runs"), before);
  const indexes = sql.unsafe`select count(*)::integer as n from pg_indexes where tablename = 'task_runs'`;
  assert.deepEqual(await pool.any(indexes), [{ n: 4 }]);

  const past = await replay("cron_job_runs", "--until", "2031-05-04T12:00:00Z");
  assert.match(past.out, /events folded into cron_job_runs_until_20310504t120000z\.\n$/, past.err);
  assert.equal(await sizeOfTable(pool, "cron_job_runs_until_20310504t120000z"), 5);
});

test("a projection of an application's is replayed by the same command", async (t) => {
  const { pool, where } = await aHistory(t, 10);
  const env = { DATABASE_URL: where.database, TASKTRAIL_NAMESPACE: where.namespace, REDIS_URL: where.redis };
  const replay = (...args: string[]) =>
    tasktrail(["replay", "failures", "--app", "test/examples/projections/app.ts", ...args], { env });
  const never = await replay();
  assert.deepEqual(
    [never.code, /Version 1 of projection failures has never been kept/.test(never.err)],
    [1, true],
    never.err,
  );
  const projector = startProjector(t, { ...where, own: [failures as unknown as OwnDefinition] });
  await eventually(
    async () => (await find(pool, sql.unsafe`select 1 from pg_views where viewname = 'failures'`)).length === 1,
  );
  await eventually(async () => (await find(pool, sql.unsafe`select 1 from failures where count = 4`)).length === 1);
  await projector.stop();
  await pool.query(sql.unsafe`update failures set count = 99`);
  const differing = await replay("--verify");
  assert.match(differing.out, /count: 99 is to be 4\n1 of 1 rows differ: 1 changed\.\n$/, differing.err);
  assert.match((await replay()).out, /^1 of 1 rows were mended: 1 changed\.\n$/);
  assert.deepEqual(await find(pool, sql.unsafe`select count from failures`), [{ count: 4 }]);
});

test("what cannot be replayed is refused, with the reason", async (t) => {
  const { where } = await aHistory(t, 1);
  const env = { DATABASE_URL: where.database, TASKTRAIL_NAMESPACE: where.namespace };
  const refused = async (args: string[], code: number, said: RegExp, more: object = {}) => {
    const ran = await tasktrail(["replay", ...args], { env: { ...env, ...more } });
    assert.equal(ran.code, code, ran.err);
    assert.match(ran.err, said);
  };
  await Promise.all([
    refused([], 2, /Which projection is to be replayed\?/),
    refused(["task_rusn"], 2, /There is no projection "task_rusn"\. Did you mean "task_runs"\?/),
    refused(["task_runs", "--until", "1h", "--verify"], 2, /--until makes a table of its own/),
    refused(["task_runs", "--until", "1h", "--into", "cron_job_runs"], 1, /There is a table cron_job_runs already/),
    refused(["task_runs"], 1, /Nothing of namespace "elsewhere" is archived/, { TASKTRAIL_NAMESPACE: "elsewhere" }),
    refused(["task_runs"], 1, /Nothing of namespace/, { DATABASE_URL: await testDatabase() }),
    refused(["task_runs"], 78, /no Postgres is named/, { DATABASE_URL: undefined }),
  ]);
});
