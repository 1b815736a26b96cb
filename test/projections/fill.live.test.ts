import assert from "node:assert/strict";
import { test } from "node:test";
import { type DatabasePool, sql } from "slonik";
import { statement } from "../../sql/statement.ts";
import { eventually } from "../support/servers.ts";
import { find, startProjector } from "./lane-fixture.ts";
import { aHistory, leftovers, sizeOfTable, TABLES, textOf } from "./replay-fixture.ts";

/** So few rows are written at once that most runs go on after they were, and are read back. */
const FEW = { pendingRows: 5 };
const NO_DIFFERENCE = { insert: 0, update: 0, delete: 0, carried: 0 };

test("an emptied table is filled equal to the byte, however few rows are kept in memory", async (t) => {
  const { pool, record, project, replayTable } = await aHistory(t, 300);
  const once = await find(pool, sql.unsafe`select id, task_name as task from task_runs where schedule is not null`);
  // These end in the entry that they begin in, and go straight into the table: what is said of one later finds a row that is written already, in the table itself.
  for (const { id, task } of once.slice(0, 20)) await record({ type: "run.redriven", run: id, task, as: id });
  await project();
  assert.equal((await find(pool, sql.unsafe`select from task_runs where redriven_as is not null`)).length, 20);
  for (const table of TABLES) {
    const before = await textOf(pool, table);
    await pool.query(statement(`delete from ${table}`, []));
    const { insert, delete: removed } = await replayTable(table, {}, FEW);
    assert.deepEqual([insert, removed], [before.length, 0]);
    assert.deepEqual(await textOf(pool, table), before);
  }
  assert.deepEqual(await leftovers(pool), []);
});

test("a row that no event makes goes, and one that is wrong is mended, when hardly another is left", async (t) => {
  const { pool, replayTable } = await aHistory(t, 200);
  const before = await textOf(pool, "task_runs");
  const some = sql.fragment`(select id from task_runs where status = 'succeeded' order by id limit 2)`;
  await pool.query(sql.unsafe`delete from task_runs where id not in ${some}`);
  await pool.query(sql.unsafe`update task_runs set worker = 'wrong'`);
  await pool.query(
    sql.unsafe`update task_runs set id = '01890000-0000-7abc-8000-0000000000ff' where id = (select max(id::text)::uuid from task_runs)`,
  );
  const { insert, update, delete: removed } = await replayTable("task_runs", {}, FEW);
  assert.deepEqual([insert, update, removed], [before.length - 1, 1, 1]);
  assert.deepEqual(await textOf(pool, "task_runs"), before);
});

test("a table that is emptied and filled under live traffic is right in the end, and the projector is not held up", async (t) => {
  const { where, pool, live, project, replayTable } = await aHistory(t, 200);
  const projector = startProjector(t, where);
  const done = new AbortController();
  const traffic = (async () => {
    for (let n = 200; !done.signal.aborted; n += 14) await live(n, n + 14);
  })();
  try {
    for (const table of TABLES) {
      await pool.query(statement(`delete from ${table}`, []));
      await replayTable(table, {}, { pendingRows: 2_000 });
    }
  } finally {
    done.abort();
    await traffic;
  }
  await projector.stop();
  await project();
  for (const table of TABLES) {
    const { rows, differences, events, resumed, parked, ...counts } = await replayTable(table, { mode: "verify" });
    assert.deepEqual({ ...counts, more: undefined }, { ...NO_DIFFERENCE, more: undefined });
    assert.deepEqual([differences, resumed, parked], [[], 0, 0]);
    assert.ok(rows >= 200 / 5 && events > 400);
  }
  assert.deepEqual(
    projector.notices.filter(({ kind }) => kind === "problem"),
    [],
  );
});

test("what had ended before the kept history is not put in", async (t) => {
  const { where, pool, live, project, replayTable } = await aHistory(t, 100);
  const [horizon] = await find(pool, sql.unsafe`select max(ms)::double precision + 1 as ms from ledger_entries`);
  await eventually(async () => Date.now() > Number(horizon?.ms));
  await live(100, 110);
  await project();
  await pool.query(
    statement("insert into ledger_horizons (lane, kept_from_ms) values ($1, $2)", [
      `${where.namespace}:default`,
      horizon?.ms,
    ]),
  );
  const isKept = sql.fragment`ended_at is null or ended_at >= (select to_timestamp(kept_from_ms / 1000.0) from ledger_horizons)`;
  const right = await find(pool, sql.unsafe`select one::text as text from task_runs one where ${isKept} order by 1`);
  assert.ok(right.length > 10 && right.length < 60);
  await pool.query(sql.unsafe`delete from task_runs`);
  assert.equal((await replayTable("task_runs", {}, FEW)).insert, right.length);
  assert.deepEqual(await textOf(pool, "task_runs"), right);
});

test("a filling that somebody waits for gives way, and the table is filled by way of a shadow", async (t) => {
  const { pool, replayTable } = await aHistory(t, 200);
  const before = await textOf(pool, "task_runs");
  await pool.query(sql.unsafe`delete from task_runs`);
  let locking: Promise<void> | undefined;
  let pages = 0;
  const held = withPages(pool, async () => {
    pages += 1;
    if (pages !== 3) return;
    await eventually(async () => (await locksOn(pool, true)) > 0); // the rows of the first page
    locking = lockTable(pool);
    await eventually(async () => (await locksOn(pool, false)) > 0);
  });
  const told: number[] = [];
  const onProgress = ({ events }: { readonly events: number }) => told.push(events);
  const { insert } = await replayTable("task_runs", { onProgress }, { ...FEW, pool: held });
  await locking;
  assert.ok(
    told.some((events, n) => events < (told[n - 1] ?? 0)),
    "it was begun anew",
  );
  assert.equal(insert, before.length);
  assert.deepEqual(await textOf(pool, "task_runs"), before);
  assert.equal(await sizeOfTable(pool, "task_runs"), 200);
  assert.deepEqual(await leftovers(pool), []);
});

/** A pool that does something before each page of the archive. */
function withPages(pool: DatabasePool, before: () => Promise<void>): DatabasePool {
  const any: DatabasePool["any"] = async (query) => {
    if (/from ledger_entries/.test(query.sql)) await before();
    return pool.any(query);
  };
  return { ...pool, any };
}

/** How many locks on the table's rows are held, or waited for. */
async function locksOn(pool: DatabasePool, granted: boolean): Promise<number> {
  const [found] = await find(
    pool,
    sql.unsafe`
      select count(*)::integer as n from pg_locks where relation = 'task_runs'::regclass and granted = ${granted}
        and mode in ('RowExclusiveLock', 'ExclusiveLock') and database = (select oid from pg_database where datname = current_database())`,
  );
  return Number(found?.n);
}

async function lockTable(pool: DatabasePool): Promise<void> {
  await pool.transaction(async (session) => {
    await session.query(sql.unsafe`lock table task_runs in exclusive mode`);
  });
}
