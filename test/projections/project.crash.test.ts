import assert from "node:assert/strict";
import { fork } from "node:child_process";
import { once } from "node:events";
import { test } from "node:test";
import { sql } from "slonik";
import { countByStatus } from "../../sql/queries/task-runs.ts";
import { createRunIds } from "../../streams/ids.ts";
import { eventually, testDatabase, testNamespace, testRedis } from "../support/servers.ts";
import { aPool, aRecorder, startProjector } from "./lane-fixture.ts";

const PROCESS = new URL("./fixtures/projector-process.ts", import.meta.url);

test("projectors that are killed at any moment lose no event and apply none twice", async (t) => {
  const where = { redis: await testRedis(), database: await testDatabase(), namespace: testNamespace() };
  const pool = await aPool(t, where.database);
  const { record } = await aRecorder(t, where.redis, where.namespace);
  const ids = createRunIds("default");
  for (let n = 0; n < 300; n += 1) {
    const attempt = { run: ids(Date.now()), task: "noop", attempt: 1, delivery: 1 };
    await record({ type: "run.enqueued", ...attempt }, { type: "run.started", ...attempt });
    await record({ type: "run.succeeded", ...attempt, durationMs: 1 });
  }
  for (let kill = 0; kill < 6; kill += 1) {
    const env = { ...process.env, NODE_OPTIONS: "", TEST_PROJECTOR: JSON.stringify(where) };
    const children = [0, 1].map(() =>
      fork(PROCESS, { execArgv: [], env, stdio: ["ignore", "ignore", "inherit", "ipc"] }),
    );
    // After some batches, and then at whatever point of the next one it may be.
    for (let batches = 0; batches < 5; batches += 1)
      await Promise.race(children.map((child) => once(child, "message")));
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 10));
    for (const child of children) child.kill("SIGKILL");
    await Promise.all(children.map((child) => child.exitCode ?? child.signalCode ?? once(child, "exit")));
  }
  const left = await pool.any(sql.unsafe`select entries_applied::integer as applied from projection_checkpoints`);
  assert.ok((left[0] as { applied: number }).applied < 600, "every kill was in the middle");
  startProjector(t, where);
  const events = sql.unsafe`select count(*)::integer as n, count(distinct position)::integer as d from ledger_events`;
  await eventually(async () => ((await pool.any(events))[0] as { n: number }).n >= 900);
  assert.deepEqual(await pool.any(events), [{ n: 900, d: 900 }]);
  assert.deepEqual(await countByStatus(pool, where.namespace), { succeeded: 300 });
  const [checkpoint] = await pool.any(
    sql.unsafe`select events_applied::integer as applied from projection_checkpoints`,
  );
  assert.deepEqual(checkpoint, { applied: 900 });
});
