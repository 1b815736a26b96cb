import assert from "node:assert/strict";
import { fork } from "node:child_process";
import { once } from "node:events";
import { test } from "node:test";
import { sql } from "slonik";
import { aloneWith, ReplayRunning } from "../../sql/queries/replay-lock.ts";
import { statement } from "../../sql/statement.ts";
import { aHistory, leftovers, textOf } from "./replay-fixture.ts";

const PROCESS = new URL("./fixtures/replay-process.ts", import.meta.url);
/** Each request to Postgres is a step. `TASKTRAIL_EVERY_STEP=1` kills at every one of them, before and after, which takes minutes: give --test-timeout=3600000, too; else at some. */
const STRIDE = process.env.TASKTRAIL_EVERY_STEP === "1" ? 1 : 21;

/** Runs a replay in a process that is killed at a step; tells how many requests it made, when it was not. */
async function replayIn(where: object, killAt: string): Promise<number | undefined> {
  const env = { ...process.env, NODE_OPTIONS: "", TEST_REPLAY: JSON.stringify(where), CRASH_KILL_AT: killAt };
  const child = fork(PROCESS, { execArgv: [], env, stdio: ["ignore", "ignore", "inherit", "ipc"] });
  let asked: number | undefined;
  child.on("message", (message) => {
    ({ asked } = message as { asked: number });
  });
  const [code, signal] = await once(child, "exit");
  assert.ok(code === 0 || signal === "SIGKILL", `${killAt}: exit ${code} ${signal}`);
  return signal === "SIGKILL" ? undefined : asked;
}

test("a replay that is killed at any step leaves the table as it was or as it should be, and the next one goes on with it", async (t) => {
  const { pool, where, replayTable } = await aHistory(t, 60);
  const right = await textOf(pool, "task_runs");
  /** In turns: some rows are wrong, others are gone; or hardly one is left, and that one is wrong. */
  const damage = async (turn = 0) => {
    const gone =
      turn % 2 === 0
        ? sql.fragment`status = 'succeeded'`
        : sql.fragment`id <> (select min(id::text)::uuid from task_runs)`;
    await pool.query(sql.unsafe`update task_runs set worker = 'wrong' where status = 'died'`);
    await pool.query(sql.unsafe`delete from task_runs where ${gone}`);
    return textOf(pool, "task_runs");
  };
  await damage();
  const place = { ...where, table: "task_runs" };
  const steps = (await replayIn(place, "never:0")) ?? 0;
  assert.deepEqual(await textOf(pool, "task_runs"), right);
  assert.ok(steps > 20, `${steps} requests`);
  let [killed, applied] = [0, 0];
  for (let step = 1; step <= steps; step += STRIDE)
    for (const when of ["before", "after"]) {
      const wrong = await damage(when === "before" ? step : step + 1);
      if ((await replayIn(place, `${when}:${step}`)) !== undefined) continue;
      killed += 1;
      const now = await textOf(pool, "task_runs");
      const isRight = JSON.stringify(now) === JSON.stringify(right);
      if (isRight) applied += 1;
      else assert.deepEqual(now, wrong, `${when} step ${step}`);
    }
  assert.ok(killed >= 3, `${killed} were killed`);
  t.diagnostic(`${steps} steps, ${killed} kills, ${applied} of them after the differences were in`);
  await damage();
  await replayTable("task_runs");
  assert.deepEqual(await textOf(pool, "task_runs"), right);
  assert.deepEqual(await leftovers(pool), []);
});

test("what a killed replay had folded is not folded again", async (t) => {
  const { pool, live, project, replayTable } = await aHistory(t, 40);
  const stopping = new AbortController();
  const seen = { events: 0 };
  await assert.rejects(
    replayTable("task_runs", {
      signal: stopping.signal,
      onProgress({ step, events }) {
        seen.events = events;
        if (step === "comparing") throw new Error("stopped here");
      },
    }),
    /stopped here/,
  );
  await live(40, 50);
  await project();
  const { resumed, events } = await replayTable("task_runs");
  assert.equal(resumed, seen.events);
  assert.ok(resumed > 80 && events < resumed, `${resumed} and then ${events}`);
  assert.deepEqual(await leftovers(pool), []);
});

test("of two replays of one table, the second is told so", async (t) => {
  const { pool, where, replayTable } = await aHistory(t, 5);
  const place = { namespace: where.namespace, name: "task_runs" };
  await aloneWith(pool, place, async () => {
    await assert.rejects(
      aloneWith(pool, place, () => replayTable("task_runs")),
      (error) => error instanceof ReplayRunning && /session \d+/.test(error.message),
    );
    await aloneWith(pool, { ...place, name: "cron_job_runs" }, () => replayTable("cron_job_runs"));
  });
  await aloneWith(pool, place, () => replayTable("task_runs"));
  assert.deepEqual(
    await pool.any(
      statement(
        "select 1 from pg_locks where locktype = 'advisory' and database = (select oid from pg_database where datname = current_database())",
        [],
      ),
    ),
    [],
  );
});
