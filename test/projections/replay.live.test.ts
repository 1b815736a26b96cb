import assert from "node:assert/strict";
import { test } from "node:test";
import { sql } from "slonik";
import { RebuildStopped } from "../../projections/catch-up.ts";
import type { AnyProjection } from "../../projections/projection.ts";
import { taskRuns } from "../../projections/task-runs.ts";
import { statement } from "../../sql/statement.ts";
import { eventually } from "../support/servers.ts";
import { find, startProjector } from "./lane-fixture.ts";
import { aHistory, leftovers, sizeOfTable, TABLES, textOf } from "./replay-fixture.ts";

const NOTHING = { insert: 0, update: 0, delete: 0, carried: 0 };
const countsOf = ({ insert, update, delete: removed, carried }: typeof NOTHING) => ({
  insert,
  update,
  delete: removed,
  carried,
});

test("tables that were emptied come back, equal to the byte", async (t) => {
  const { pool, replayTable } = await aHistory(t, 120);
  for (const table of TABLES) {
    const before = await textOf(pool, table);
    assert.ok(before.length >= 24);
    assert.deepEqual(countsOf(await replayTable(table)), NOTHING, "there is nothing to mend");
    await pool.query(statement(`delete from ${table}`, []));
    const { insert, events } = await replayTable(table);
    assert.equal(insert, before.length);
    assert.ok(events > 240);
    assert.deepEqual(await textOf(pool, table), before);
  }
  assert.deepEqual(await leftovers(pool), []);
});

test("what differs is told row by row, with the event that explains it, and mended", async (t) => {
  const { pool, where, replayTable } = await aHistory(t, 60);
  const before = await textOf(pool, "task_runs");
  const clean = await replayTable("task_runs", { mode: "verify" });
  assert.deepEqual([clean.rows, clean.differences], [60, []]);
  const runs = await find(pool, sql.unsafe`select id from task_runs where status = 'died' order by id limit 2`);
  const [changed, removed] = runs.map(({ id }) => String(id));
  const invented = "01890000-0000-7abc-8000-0000000000ff";
  await pool.query(statement("update task_runs set status = 'succeeded', worker = 'w2' where id = $1", [changed]));
  await pool.query(statement("delete from task_runs where id = $1", [removed]));
  await pool.query(
    statement(
      `insert into task_runs (id, namespace, queue, task_name, status, attempts, redeliveries, deferrals, enqueued_at, positions)
       values ($1, $2, 'default', 'x', 'waiting', 0, 0, 0, now(), '')`,
      [invented, where.namespace],
    ),
  );
  const { differences, ...verdict } = await replayTable("task_runs", { mode: "verify" });
  assert.deepEqual(countsOf(verdict), { insert: 1, update: 1, delete: 1, carried: 0 });
  const byKey = new Map(differences.map((one) => [one.key, one]));
  assert.deepEqual(byKey.get(String(changed))?.columns, {
    status: { table: "succeeded", ledger: "died" },
    worker: { table: "w2", ledger: "worker-1" },
  });
  assert.equal(byKey.get(String(changed))?.event?.type, "run.died");
  assert.match(byKey.get(String(changed))?.event?.position ?? "", /^default\/[0-9a-f]+\/\d+-\d+\/\d+$/);
  assert.equal(byKey.get(String(removed))?.action, "insert");
  assert.equal(byKey.get(invented)?.action, "delete");
  assert.equal(byKey.get(invented)?.event, undefined, "no event makes it");
  assert.deepEqual(countsOf(await replayTable("task_runs", { mode: "count" })), countsOf(verdict));
  assert.notDeepEqual(await textOf(pool, "task_runs"), before, "looking changes nothing");
  assert.deepEqual(countsOf(await replayTable("task_runs")), countsOf(verdict));
  assert.deepEqual(await textOf(pool, "task_runs"), before);
});

test("a user's view, grant, foreign key and prepared statement on a table live on", async (t) => {
  const { pool, replayTable } = await aHistory(t, 40);
  const before = await textOf(pool, "task_runs");
  const role = `reader_${process.pid}_${Math.trunc(performance.now())}`;
  const [kept] = await find(pool, sql.unsafe`select id from task_runs where status = 'died' limit 1`);
  for (const text of [
    "create view troubled as select id, error_message from task_runs where status = 'died'",
    `create role ${role}`,
    `grant select on task_runs to ${role}`,
    "create table notes (run uuid references task_runs (id), note text)",
    `insert into notes values ('${kept?.id}', 'asked for')`,
    `update task_runs set error_message = 'wrong' where status = 'died'`,
    `delete from task_runs where status = 'succeeded'`,
  ])
    await pool.query(statement(text, []));
  await pool.connect(async (session) => {
    await session.query(statement("prepare one as select count(*)::integer as n from task_runs", []));
    await session.any(statement("execute one", []));
    assert.ok((await replayTable("task_runs")).insert > 0);
    assert.deepEqual(await session.any(statement("execute one", [])), [{ n: 40 }]);
  });
  assert.deepEqual(await textOf(pool, "task_runs"), before);
  assert.deepEqual(await find(pool, sql.unsafe`select distinct error_message from troubled`), [
    { error_message: "out of range" },
  ]);
  const granted = await find(pool, statement("select has_table_privilege($1, 'task_runs', 'select') as may", [role]));
  assert.deepEqual(granted, [{ may: true }]);
  await assert.rejects(
    pool.query(sql.unsafe`insert into notes values ('01890000-0000-7abc-8000-0000000000ff', 'nobody')`),
  );
  assert.equal(await sizeOfTable(pool, "notes"), 1);
  await pool.query(statement(`drop owned by ${role}`, []));
  await pool.query(statement(`drop role ${role}`, []));
});

test("a replay under live traffic ends with the same rows, and readers never see fewer or fail", async (t) => {
  const { where, pool, live, project, replayTable } = await aHistory(t, 100);
  const projector = startProjector(t, where);
  await pool.query(sql.unsafe`update task_runs set worker = 'wrong' where status = 'died'`);
  const done = new AbortController();
  const traffic = (async () => {
    for (let n = 100; !done.signal.aborted; n += 14) await live(n, n + 14);
  })();
  const reading = (async () => {
    for (let least = 100, reads = 0; ; reads += 1) {
      const size = await sizeOfTable(pool, "task_runs");
      assert.ok(size >= least, `${size} rows after ${least}`);
      least = size;
      if (done.signal.aborted && reads > 10) return;
    }
  })();
  try {
    for (const table of TABLES) await replayTable(table);
  } finally {
    done.abort();
    await Promise.all([traffic, reading]);
  }
  await projector.stop();
  await project();
  for (const table of TABLES) assert.deepEqual(countsOf(await replayTable(table, { mode: "verify" })), NOTHING);
  assert.deepEqual(await find(pool, sql.unsafe`select id from task_runs where worker = 'wrong'`), []);
  assert.deepEqual(
    projector.notices.filter(({ kind }) => kind === "problem"),
    [],
  );
});

test("rows that are older than the kept history are carried over", async (t) => {
  const { where, pool, live, project, replayTable } = await aHistory(t, 30);
  const before = await textOf(pool, "task_runs");
  const [horizon] = await find(pool, sql.unsafe`select max(ms)::double precision + 1 as ms from ledger_entries`);
  await new Promise((resolve) => setTimeout(resolve, 5));
  await live(30, 40);
  await project();
  await pool.query(statement("delete from ledger_entries where ms < $1", [horizon?.ms]));
  await pool.query(
    statement("insert into ledger_horizons (lane, kept_from_ms) values ($1, $2)", [
      `${where.namespace}:default`,
      horizon?.ms,
    ]),
  );
  await pool.query(
    sql.unsafe`delete from task_runs where enqueued_at >= (select to_timestamp(kept_from_ms / 1000.0) from ledger_horizons)`,
  );
  const { insert, update, delete: removed, carried } = await replayTable("task_runs");
  assert.deepEqual({ insert, update, removed, carried }, { insert: 10, update: 0, removed: 0, carried: 30 });
  const after = await textOf(pool, "task_runs");
  assert.equal(after.length, 40);
  for (const row of before) assert.ok(after.some((one) => JSON.stringify(one) === JSON.stringify(row)));
});

test("the past is folded into a table of its own", async (t) => {
  const { pool, live, project, replayTable } = await aHistory(t, 20);
  const before = await textOf(pool, "task_runs");
  const [end] = await find(pool, sql.unsafe`select max(ms)::double precision as ms from ledger_entries`);
  await new Promise((resolve) => setTimeout(resolve, 5));
  await live(20, 40);
  await project();
  await replayTable("task_runs", { mode: "keep", untilMs: Number(end?.ms), into: "task_runs_then" });
  assert.deepEqual(await textOf(pool, "task_runs_then"), before);
  assert.equal(await sizeOfTable(pool, "task_runs"), 40);
  assert.deepEqual(await leftovers(pool), []);
});

test("a task's or a queue's rows alone are mended", async (t) => {
  const { pool, replayTable } = await aHistory(t, 20);
  await pool.query(sql.unsafe`update task_runs set worker = 'wrong'`);
  assert.equal((await replayTable("task_runs", { queues: ["other"] })).update, 0);
  assert.equal((await replayTable("task_runs", { tasks: ["even"] })).update, 10);
  assert.deepEqual(
    await find(
      pool,
      sql.unsafe`select task_name, count(*)::integer as n from task_runs where worker = 'wrong' group by 1`,
    ),
    [{ task_name: "odd", n: 10 }],
  );
  assert.equal((await replayTable("task_runs", { queues: ["default"] })).update, 10);
});

test("an event that the fold cannot take stops a rebuild, which names it, and the table stays as it was", async (t) => {
  const { pool, replayTable } = await aHistory(t, 20);
  const before = await textOf(pool, "task_runs");
  await pool.query(sql.unsafe`delete from task_runs where status = 'succeeded'`);
  const damaged = await textOf(pool, "task_runs");
  const [poisoned] = await find(
    pool,
    sql.unsafe`select id::text from task_runs where status = 'died' order by id limit 1`,
  );
  const key = String(poisoned?.id);
  const fold: AnyProjection["fold"] = (row, event) => {
    if (event.type === "run.died" && (event as { run?: string }).run === key) throw new RangeError("poison");
    return (taskRuns as unknown as AnyProjection).fold(row, event);
  };
  const broken = { ...(taskRuns as unknown as AnyProjection), fold };
  await assert.rejects(replayTable("task_runs", {}, { projection: broken }), (error) => {
    assert.ok(error instanceof RebuildStopped && error.code === "rebuild_stopped");
    assert.match(error.message, /stopped at run\.died \(default\/[0-9a-f]+\/\d+-\d+\/\d+\).*: poison\. Key: /);
    return error.message.includes(key);
  });
  assert.deepEqual(await textOf(pool, "task_runs"), damaged);
  // A key that is parked already is left out where it stands, and told.
  const { parked, insert } = await replayTable("task_runs", {}, { projection: broken, parked: new Set([key]) });
  assert.deepEqual([parked, insert], [1, before.length - damaged.length]);
  await replayTable("task_runs");
  assert.deepEqual(await textOf(pool, "task_runs"), before);
  assert.deepEqual(await leftovers(pool), []);
});

test("rows that began at a time or later alone are mended", async (t) => {
  const { pool, redis, live, project, replayTable } = await aHistory(t, 20);
  const now = async () => {
    const [seconds, micros] = await redis.time();
    return Number(seconds) * 1_000 + Math.floor(Number(micros) / 1_000);
  };
  const fromMs = (await now()) + 1;
  await eventually(async () => (await now()) > fromMs);
  await live(20, 50);
  await project();
  const right = await textOf(pool, "task_runs");
  await pool.query(sql.unsafe`update task_runs set worker = 'wrong'`);
  const { update, carried, insert } = await replayTable("task_runs", { fromMs });
  assert.deepEqual([update, carried, insert], [30, 20, 0]);
  assert.deepEqual(await find(pool, sql.unsafe`select count(*)::integer as n from task_runs where worker = 'wrong'`), [
    { n: 20 },
  ]);
  assert.equal((await replayTable("task_runs")).update, 20);
  assert.deepEqual(await textOf(pool, "task_runs"), right);
});
