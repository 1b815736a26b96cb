import assert from "node:assert/strict";
import { test } from "node:test";
import { sql } from "slonik";
import { migrate } from "../../sql/migrate.ts";
import { openPool } from "../../sql/pool.ts";
import { countByStatus } from "../../sql/queries/task-runs.ts";
import { startPostgres } from "../../src/dev/start-postgres.ts";
import { startRedis } from "../../src/dev/start-redis.ts";
import { createRunIds } from "../../streams/ids.ts";
import { eventually, testDatabase, testNamespace, testRedis } from "../support/servers.ts";
import { aLife, aPool, aRecorder, type Running, startProjector } from "./lane-fixture.ts";

const ids = createRunIds("default");

function projectedBy({ notices }: Running): number {
  return notices.reduce((sum, one) => sum + (one.kind === "batch.projected" ? one.events : 0), 0);
}

test("Postgres may go and come back as it likes: the projector waits, and applies each event once", async (t) => {
  await using postgres = await startPostgres({ durable: true });
  const where = { redis: await testRedis(), database: postgres.url, namespace: testNamespace() };
  const { record } = await aRecorder(t, where.redis, where.namespace);
  const running = startProjector(t, { ...where, settings: { batchEntries: 5 } });
  for (const turn of [1, 2, 3]) {
    for (let n = 0; n < 40; n += 1) await record(...aLife(ids(Date.now())));
    await eventually(() => projectedBy(running) > (turn - 1) * 120);
    if (turn === 2) await postgres.kill();
    await postgres.restart();
  }
  const pool = await openPool(postgres.url);
  const count = sql.unsafe`select count(*)::integer as n, count(distinct position)::integer as d from ledger_events`;
  try {
    await eventually(async () => ((await pool.any(count))[0] as { n: number }).n === 360, { timeoutMs: 20_000 });
    assert.deepEqual(await pool.any(count), [{ n: 360, d: 360 }]);
    assert.deepEqual(await countByStatus(pool, where.namespace), { succeeded: 120 });
  } finally {
    await pool.end();
  }
  await running.stop();
});

test("a projector that starts before Postgres and Redis waits for both", async (t) => {
  await using postgres = await startPostgres();
  await using redis = await startRedis({ durable: true });
  const where = { redis: redis.url, database: postgres.url, namespace: testNamespace() };
  await postgres.stop();
  await redis.stop();
  const running = startProjector(t, where);
  const told = await eventually(() => running.notices.find(({ kind }) => kind === "problem"));
  assert.match(String(told.kind === "problem" && told.error), /nothing listens there/);
  assert.equal(running.projector.health().isReady, false);
  await postgres.restart();
  await redis.restart();
  const { record } = await aRecorder(t, where.redis, where.namespace);
  await record(...aLife(ids(Date.now())));
  await eventually(() => projectedBy(running) === 3, { timeoutMs: 20_000 });
  await running.stop();
});

test("Redis may restart: the projector goes on where it was", async (t) => {
  await using redis = await startRedis({ durable: true });
  const where = { redis: redis.url, database: await testDatabase(), namespace: testNamespace() };
  const first = await aRecorder(t, where.redis, where.namespace);
  const running = startProjector(t, where);
  await first.record(...aLife(ids(Date.now())));
  await eventually(() => projectedBy(running) === 3);
  await redis.restart();
  const second = await aRecorder(t, where.redis, where.namespace);
  await second.record(...aLife(ids(Date.now())));
  await eventually(() => projectedBy(running) === 6, { timeoutMs: 20_000 });
  assert.equal(running.projector.health().isReady, true);
  await running.stop();
});

test("a row that somebody else has locked is waited for, not skipped", async (t) => {
  const where = { redis: await testRedis(), database: await testDatabase(), namespace: testNamespace() };
  const pool = await aPool(t, where.database);
  const { record } = await aRecorder(t, where.redis, where.namespace);
  const running = startProjector(t, where);
  const [enqueued, started] = aLife(ids(Date.now()));
  await record(enqueued as object);
  await eventually(() => projectedBy(running) === 1);
  await pool.transaction(async (session) => {
    await session.query(sql.unsafe`select from task_runs for update`);
    await record(started as object);
    await eventually(async () => (await session.any(sql.unsafe`select from pg_locks where not granted`)).length > 0);
    assert.equal(projectedBy(running), 1);
  });
  await eventually(() => projectedBy(running) === 2);
  assert.deepEqual(await countByStatus(pool, where.namespace), { running: 1 });
});

test("a schema of a newer version stops the projector with what to do", async (t) => {
  const where = { redis: await testRedis(), database: await testDatabase(), namespace: testNamespace() };
  const pool = await openPool(where.database);
  t.after(() => pool.end());
  await migrate(pool);
  await pool.query(
    sql.unsafe`insert into tasktrail_migrations (id, name, checksum) values (9999, '9999-from-the-future', '')`,
  );
  await assert.rejects(startProjector(t, where).ended, /9999-from-the-future.*Update tasktrail/);
});
