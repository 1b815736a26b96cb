import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { sql } from "slonik";
import { defineProjection } from "tasktrail";
import { type OwnDefinition, openOwn, shownVersion } from "../../projections/own.ts";
import { replay } from "../../projections/replay.ts";
import { restoreTable } from "../../sql/migrate.ts";
import { openPool } from "../../sql/pool.ts";
import { findCheckpointsOf } from "../../sql/queries/checkpoints.ts";
import { listParked } from "../../sql/queries/parked.ts";
import { statement } from "../../sql/statement.ts";
import { attempts } from "../examples/projections/attempts.ts";
import { failures } from "../examples/projections/failures.ts";
import { throughput } from "../examples/projections/throughput.ts";
import { eventually } from "../support/servers.ts";
import { first, row, second } from "./fixtures/by-task.ts";
import { aRecorder, find, startProjector } from "./lane-fixture.ts";
import { aHistory, recordLives, TABLES, textOf } from "./replay-fixture.ts";

const own = (...projections: unknown[]) => projections as OwnDefinition[];
const EXAMPLES = own(attempts, failures, throughput);

async function setUp(t: TestContext, runs: number) {
  const history = await aHistory(t, runs);
  const { pool, where } = history;
  /** Until every lane of a projection is where the archive is. */
  const caughtUp = (name: string) =>
    eventually(
      async () => {
        const [ledger, mine] = await Promise.all(
          ["ledger", name].map((checkpoint) => findCheckpointsOf(pool, { namespace: where.namespace, checkpoint })),
        );
        const at = (one: { lane: string; ms: number; seq: number }) => `${one.lane} ${one.ms}-${one.seq}`;
        const end = (await history.redis.xrevrange(history.keys.events, "+", "-", "COUNT", 1))[0]?.[0];
        if (!ledger?.some(({ ms, seq }) => `${ms}-${seq}` === end)) return false;
        return JSON.stringify(ledger?.map(at)) === JSON.stringify(mine?.map(at));
      },
      { timeoutMs: 60_000 },
    );
  const keep = (definitions: readonly OwnDefinition[]) => startProjector(t, { ...where, own: definitions });
  const replayOwn = async (definition: OwnDefinition, mode: "apply" | "verify" = "apply") => {
    const wide = await openPool(where.database, { size: 4, statementTimeoutMs: 0 });
    t.after(() => wide.end());
    const projection = await openOwn(wide, definition);
    return replay(
      { pool: wide, namespace: where.namespace, projection, checkpoint: projection.name, parked: new Set() },
      { mode },
    );
  };
  return { ...history, caughtUp, keep, replayOwn };
}

test("an application's tables follow the ledger from its beginning, lane by lane, and are replayed as the engine's are", async (t) => {
  const { where, pool, live, caughtUp, keep, replayOwn } = await setUp(t, 30);
  const other = await aRecorder(t, where.redis, where.namespace, "other");
  await recordLives(other.record, 100, 110);
  const two = [keep(EXAMPLES), keep(EXAMPLES)];
  await live(30, 50);
  for (const { name } of EXAMPLES)
    await eventually(async () => (await find(pool, statement(`select 1 from ${name} limit 1`, []))).length === 1);
  await eventually(async () => (await find(pool, sql.unsafe`select 1 from task_runs`)).length === 60, {
    timeoutMs: 60_000,
  });
  for (const { name } of EXAMPLES) await caughtUp(`${name}@1`);
  assert.deepEqual(await find(pool, sql.unsafe`select queue, count from failures order by queue`), [
    { queue: "default", count: 20 },
    { queue: "other", count: 4 },
  ]);
  assert.deepEqual(
    await find(pool, sql.unsafe`select sum(succeeded)::integer as n, sum(failed)::integer as f from throughput`),
    [{ n: 36, f: 24 }],
  );
  assert.deepEqual(
    await find(pool, sql.unsafe`select outcome, count(*)::integer as n from attempts group by 1 order by 1`),
    [
      { outcome: "died", n: 12 },
      { outcome: "failed", n: 12 },
      { outcome: "succeeded", n: 36 },
    ],
  );
  for (const definition of EXAMPLES) {
    const before = await textOf(pool, definition.name);
    const { insert, update, delete: removed } = await replayOwn(definition, "verify");
    assert.deepEqual([insert, update, removed], [0, 0, 0], definition.name);
    await pool.query(statement(`delete from ${definition.name}_v1`, []));
    await replayOwn(definition);
    assert.deepEqual(await textOf(pool, definition.name), before);
  }
  const problems = two.flatMap(({ notices }) => notices.filter((notice) => notice.kind === "problem"));
  assert.deepEqual(
    problems.filter(({ what }) => !what.endsWith("it will be tried again")), // as a slow machine's connections are
    [],
  );
});

test("a new version is built beside the old one, and its view is switched once it has caught up, with its grants", async (t) => {
  const { pool, live, caughtUp, keep } = await setUp(t, 20);
  const old = keep(own(first));
  await caughtUp("by_task@1");
  const role = `by_task_reader_${process.pid}`;
  await pool.query(statement(`create role ${role}`, []));
  await pool.query(statement(`grant select on by_task to ${role}`, []));
  assert.equal(await shownVersion(pool, "by_task"), 1);
  const runs = () => find(pool, sql.unsafe`select task, runs from by_task order by task`);
  const before = await runs();

  const done = new AbortController();
  const reading = (async () => {
    while (!done.signal.aborted) assert.ok((await runs()).length >= before.length, "a reader never sees less");
  })();
  const young = keep(own(second)); // the old one still runs, as in a rolling deploy
  await eventually(async () => (await shownVersion(pool, "by_task")) === 2, { timeoutMs: 60_000 });
  await live(20, 30);
  await caughtUp("by_task@2");
  await caughtUp("by_task@1");
  done.abort();
  await reading;
  assert.equal(await shownVersion(pool, "by_task"), 2, "the old version does not take it back");
  assert.deepEqual(await find(pool, sql.unsafe`select task, runs, failed from by_task order by task`), [
    { task: "even", runs: 15, failed: 3 },
    { task: "odd", runs: 15, failed: 3 },
  ]);
  assert.deepEqual(await find(pool, statement("select has_table_privilege($1, 'by_task', 'select') as may", [role])), [
    { may: true },
  ]);
  assert.equal(young.notices.filter(({ kind }) => kind === "projection.switched").length, 1);
  await pool.query(statement(`drop owned by ${role}`, []));
  await pool.query(statement(`drop role ${role}`, []));
  await old.stop();
});

test("every table is dropped, and comes back from the ledger equal to the byte", async (t) => {
  const { pool, where, caughtUp, keep, replayOwn, replayTable } = await setUp(t, 30);
  const projector = keep(EXAMPLES);
  for (const { name } of EXAMPLES) await caughtUp(`${name}@1`);
  await projector.stop();
  const tables = [...TABLES, ...EXAMPLES.map(({ name }) => name)];
  const before = await Promise.all(tables.map((table) => textOf(pool, table)));
  assert.ok(before.every((rows) => rows.length > 0));
  for (const table of TABLES) await pool.query(statement(`drop table ${table}`, []));
  for (const { name } of EXAMPLES) await pool.query(statement(`drop table ${name}_v1 cascade`, []));
  for (const table of TABLES) {
    await restoreTable(pool, table);
    await replayTable(table);
  }
  for (const definition of EXAMPLES) await replayOwn(definition);
  assert.deepEqual(await Promise.all(tables.map((table) => textOf(pool, table))), before);
  assert.deepEqual(await listParked(pool, where.namespace), []);
});

test("a key whose event the fold cannot take is parked, and the others go on", async (t) => {
  const { pool, where, caughtUp, keep } = await setUp(t, 20);
  const picky = defineProjection({
    name: "picky",
    version: 1,
    table: { row, ddl: "create table picky (task text primary key, runs integer not null)" },
    events: ["run.enqueued"],
    key: (event) => event.task,
    fold(before, event) {
      if (event.task === "odd" && before?.runs === 3) throw new RangeError("three are enough");
      return { task: event.task, runs: (before?.runs ?? 0) + 1 };
    },
  });
  keep(own(picky));
  await caughtUp("picky@1");
  assert.deepEqual(await find(pool, sql.unsafe`select task, runs from picky order by task`), [
    { task: "even", runs: 10 },
    { task: "odd", runs: 3 },
  ]);
  const parked = await listParked(pool, where.namespace);
  assert.deepEqual(
    parked.map(({ projection, key, errorMessage }) => [projection, key, errorMessage]),
    [["picky@1", "odd", "three are enough"]],
  );
});

test("a table that does not fit its row stops the projector when it starts, and leaves nothing behind", async (t) => {
  const { pool, keep } = await setUp(t, 1);
  const unfit = defineProjection({
    name: "unfit",
    version: 1,
    table: { row, ddl: "create table unfit (task text primary key, runs text)" },
    key: () => undefined,
    fold: () => ({ task: "", runs: 1 }),
  });
  await assert.rejects(
    keep(own(unfit)).ended,
    /The table of projection "unfit" cannot be used: column runs is text, and "runs" is a integer/,
  );
  assert.deepEqual(await find(pool, sql.unsafe`select 1 from pg_class where relname like 'unfit%'`), []);
  await pool.query(sql.unsafe`create table by_task (id integer)`);
  await assert.rejects(keep(own(first)).ended, /there is a table by_task already/);
  await pool.query(sql.unsafe`drop table by_task`);
  await openOwn(pool, own(first)[0] as OwnDefinition);
  const changed = {
    ...own(first)[0],
    table: { ...own(first)[0]?.table, ddl: "create table by_task (task text primary key, runs bigint not null)" },
  };
  await assert.rejects(
    openOwn(pool, changed as OwnDefinition),
    /its ddl is not the one that version 1 was made by\. Raise the version/,
  );
});
