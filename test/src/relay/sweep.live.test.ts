import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { test } from "node:test";
import { sql } from "slonik";
import { getDbSession } from "../../../src/deps.ts";
import { engineOf } from "../../../src/engine.ts";
import { createProjector } from "../../../src/projector.ts";
import { relay } from "../../../src/relay/assemble.ts";
import { createWorker } from "../../../src/worker.ts";
import { eventually } from "../../support/servers.ts";
import { openStage } from "./stage.ts";

test("after a week it is forgotten that a run is done, but not before it has ended: it may be delivered again", async () => {
  await using stage = await openStage();
  const { pool } = stage;
  const task = stage.broker.task({ name: "boxed", inbox: getDbSession, run() {} });
  stage.run(createProjector(stage.broker));
  stage.run(createWorker(stage.broker));
  const ended = await task.kiq();
  await ended.result();
  const live = await task.with({ delay: "1h" }).kiq(); // stands for one whose worker died after the commit
  const unknown = randomUUID();
  const recent = randomUUID();
  for (const run of [live.id, unknown, recent])
    await pool.query(sql.unsafe`insert into tasktrail_inbox (run, result) values (${run}, '')`);
  await pool.query(sql.unsafe`update tasktrail_inbox set done_at = now() - interval '8 days' where run <> ${recent}`);
  const known = sql.unsafe`
    select (count(*) = 2 and count(ended_at) = 1) from task_runs where id in (${live.id}, ${ended.id})`;
  await eventually(() => pool.oneFirst(known));
  const done = new AbortController();
  const settings = { leaseMs: 300, sweepEveryMs: 1 };
  const relaying = relay({ engine: engineOf(stage.broker), settings, onLook() {} }, done.signal);
  const kept = async () => (await pool.anyFirst(sql.unsafe`select run from tasktrail_inbox order by run`)).map(String);
  await eventually(async () => (await kept()).length < 4);
  done.abort();
  await relaying;
  assert.deepEqual(await kept(), [live.id, recent].sort());
});
