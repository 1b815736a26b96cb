import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { openPool } from "../../sql/pool.ts";
import { listCronRuns } from "../../sql/queries/cron-job-runs.ts";
import { countByStatus, findRun, listRuns } from "../../sql/queries/task-runs.ts";
import { createBroker } from "../../src/broker.ts";
import { cron } from "../../src/define/cron.ts";
import type { Role } from "../../src/define/role.ts";
import { createProjector } from "../../src/projector.ts";
import { createScheduler } from "../../src/scheduler.ts";
import { createWorker } from "../../src/worker.ts";
import { eventually, testDatabase, testNamespace, testRedis } from "../support/servers.ts";

const silent = { debug() {}, info() {}, warn() {}, error() {}, child: () => silent };

async function setUp(t: TestContext) {
  const options = {
    redis: await testRedis(),
    database: await testDatabase(),
    namespace: testNamespace(),
    logger: silent,
  };
  const broker = createBroker(options);
  const pool = await openPool(options.database);
  const roles: Role[] = [];
  const start = (role: Role) => {
    roles.push(role);
    role.run().catch(() => {});
    return role;
  };
  t.after(async () => {
    await Promise.all(roles.map((role) => role.stop()));
    await broker.close();
    await pool.end();
  });
  /** Waits until a table has what is asked for; before the tables are there, they have nothing. */
  const shows = <T>(ask: () => Promise<T | undefined | false>) =>
    eventually(() => ask().catch(() => undefined), { timeoutMs: 20_000 });
  return { broker, options, pool, start, shows };
}

test("what workers do is in task_runs a moment later", async (t) => {
  const { broker, options, pool, start, shows } = await setUp(t);
  const fine = broker.task({ name: "fine", run() {} });
  const broken = broker.task({
    name: "broken",
    retry: { attempts: 2, delay: "10ms" },
    run() {
      throw new RangeError("out of bounds");
    },
  });
  const projector = start(createProjector(broker));
  start(createWorker(broker, { lease: "2s" }));
  const good = await fine.with({ labels: { tenant: "acme" }, key: "once" }).kiq();
  const bad = await broken.kiq();
  const row = await shows(async () => {
    const found = await findRun(pool, options.namespace, bad.id);
    return found?.status === "died" ? found : undefined;
  });
  assert.deepEqual(
    [row.attempts, row.errorType, row.errorMessage, row.reason],
    [2, "RangeError", "out of bounds", "attempts"],
  );
  assert.match(row.errorStack ?? "", /RangeError/);
  const success = await findRun(pool, options.namespace, good.id);
  assert.deepEqual([success?.status, success?.key, success?.labels], ["succeeded", "once", { tenant: "acme" }]);
  assert.ok(
    (success?.enqueuedAt ?? 0) <= (success?.startedAt ?? 0) && (success?.startedAt ?? 0) <= (success?.endedAt ?? 0),
  );
  assert.ok((success?.durationMs ?? -1) >= 0);
  assert.equal(projector.health().isReady, true);
});

test("a cron that is triggered is in cron_job_runs: success, failure with its error, and a skip with its reason", async (t) => {
  const { broker, options, pool, start, shows } = await setUp(t);
  const { promise: go, resolve: release } = Promise.withResolvers<void>();
  const slow = cron(broker, "0 0 1 1 *", { name: "slow", lockTtl: 60, run: () => go });
  const broken = cron(broker, "0 0 1 1 *", {
    name: "broken",
    run() {
      throw new TypeError("no such endpoint");
    },
  });
  start(createProjector(broker));
  start(createScheduler(broker));
  start(createWorker(broker, { lease: "2s" }));
  const list = (task: string, status: string) => async () =>
    (await listCronRuns(pool, options.namespace, { task })).find((row) => row.status === status);
  await slow.trigger();
  const running = await shows(list("slow", "running"));
  await slow.trigger();
  const skipped = await shows(list("slow", "skipped"));
  assert.ok(skipped.reason);
  assert.equal(skipped.holder, running.runId);
  release();
  const success = await shows(list("slow", "success"));
  assert.deepEqual([success.id, success.trigger, success.schedule], [running.id, "manual", "slow"]);
  await broken.trigger();
  const failure = await shows(list("broken", "failure"));
  assert.deepEqual([failure.errorType, failure.errorMessage], ["TypeError", "no such endpoint"]);
  assert.match(failure.errorStack ?? "", /TypeError/);
});

test("a thousand runs end in the tables as they do in the ledger", async (t) => {
  const { broker, options, pool, start, shows } = await setUp(t);
  let turn = 0;
  const mixed = broker.task({
    name: "mixed",
    retry: { attempts: 2, delay: "1ms" },
    run() {
      turn += 1;
      if (turn % 7 === 0) throw new Error("now and then");
    },
  });
  start(createProjector(broker, { batch: 20 }));
  start(createWorker(broker, { lease: "2s", concurrency: 50 }));
  await mixed.kiqMany(Array.from({ length: 1_000 }, () => undefined));
  const counts = await shows(async () => {
    const found = await countByStatus(pool, options.namespace);
    return (found.succeeded ?? 0) + (found.died ?? 0) === 1_000 ? found : undefined;
  });
  assert.ok((counts.succeeded ?? 0) > 900);
  const [row] = await listRuns(pool, options.namespace, { task: "mixed", limit: 1 });
  assert.equal(row?.taskName, "mixed");
});

test("a projector without Postgres is refused with what to do", () => {
  const broker = createBroker({ redis: "redis://localhost:6379", logger: silent });
  const { DATABASE_URL: before } = process.env;
  delete process.env.DATABASE_URL;
  try {
    assert.throws(() => createProjector(broker), { code: "invalid_option", message: /set DATABASE_URL/ });
  } finally {
    if (before !== undefined) process.env.DATABASE_URL = before;
  }
  assert.throws(() => createProjector({} as never), /not a broker/);
});

test("a projector may be stopped before it has begun, and more than once", async (t) => {
  const { broker } = await setUp(t);
  const projector = createProjector(broker);
  assert.equal(projector.health().isReady, false);
  await projector.stop();
  await projector.run();
  await projector.stop();
});
