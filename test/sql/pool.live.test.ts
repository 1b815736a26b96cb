import assert from "node:assert/strict";
import { test } from "node:test";
import { sql } from "slonik";
import { type DatabaseUnreachable, openPool, poolFrom, sqlState, transactionOnce } from "../../sql/pool.ts";
import { statement } from "../../sql/statement.ts";
import { defineTable, loadRows, upsertRows } from "../../sql/table.ts";
import { testDatabase } from "../support/servers.ts";

test("what is wrong with the server or the URL is said, without the password", async () => {
  const refused = (url: string) =>
    openPool(url).then(
      () => assert.fail("opened"),
      (error: DatabaseUnreachable) => error,
    );
  const url = new URL(await testDatabase());
  const closed = await refused("postgres://me:secret@127.0.0.1:1/db");
  assert.equal(closed.code, "database_unreachable");
  assert.match(closed.message, /127\.0\.0\.1:1, database "db", user "me": nothing listens there/);
  url.pathname = "/nowhere";
  assert.match((await refused(url.href)).message, /database "nowhere" does not exist\. Create it/);
  url.password = "wrong-secret";
  const denied = await refused(url.href);
  assert.match(denied.message, /password authentication failed .*Check user and password/);
  for (const error of [closed, denied]) assert.doesNotMatch(error.message, /secret/);
  assert.match((await refused("postgres://me@/db?host=/nowhere/at/all")).message, /no such socket/);
});

test("a pool's time limits and name are those of its settings", async (t) => {
  const pool = await openPool(await testDatabase(), {
    statementTimeoutMs: 1_234,
    idleInTransactionTimeoutMs: 0,
    applicationName: "mine",
  });
  t.after(() => pool.end());
  const [settings] = await pool.any(sql.unsafe`
    select current_setting('statement_timeout') as statement, current_setting('idle_in_transaction_session_timeout') as idle,
      current_setting('application_name') as name`);
  assert.deepEqual(settings, { statement: "1234ms", idle: "0", name: "mine" });
});

test("a pool that the user made is used as it is, and left open", async (t) => {
  const mine = await openPool(await testDatabase());
  t.after(() => mine.end());
  assert.deepEqual(await poolFrom(() => mine), { pool: mine, isOurs: false });
});

test("a transaction that fails to serialize is not run again behind our back", async (t) => {
  const pool = await openPool(await testDatabase());
  t.after(() => pool.end());
  let calls = 0;
  const failing = transactionOnce(pool, async (session) => {
    calls += 1;
    await session.query(sql.unsafe`do $$ begin raise exception 'no' using errcode = '40001'; end $$`);
  });
  await assert.rejects(failing, (error) => sqlState(error) === "40001");
  assert.equal(calls, 1);
});

test("the state of an error is found wherever slonik has put it", async (t) => {
  const pool = await openPool(await testDatabase());
  t.after(() => pool.end());
  const stateOf = (text: string) => pool.query(statement(text, [])).then(() => undefined, sqlState);
  assert.equal(await stateOf("select 'x'::integer"), "22P02");
  assert.equal(await stateOf("select * from nowhere"), "42P01");
  assert.equal(await stateOf("selct"), "42601");
  await pool.query(sql.unsafe`create table one (id integer primary key check (id < 9))`);
  await pool.query(sql.unsafe`insert into one values (1)`);
  assert.equal(await stateOf("insert into one values (1)"), "23505");
  assert.equal(await stateOf("insert into one values (10)"), "23514");
  assert.equal(sqlState(Object.assign(new Error("away"), { code: "ECONNREFUSED" })), undefined);
  assert.equal(sqlState(Object.assign(new Error("away"), { code: "EPIPE" })), undefined);
});

type Wide = {
  id: string;
  someText: string | null;
  someCount: number | null;
  someMs: number | null;
  isSo: boolean | null;
  someJson: unknown;
  happenedAt: number | null;
};
const wide = defineTable<Wide>({
  name: "wide",
  key: "id",
  scope: "namespace",
  begun: ["happenedAt"],
  columns: {
    id: "text",
    someText: "text",
    someCount: "integer",
    someMs: "double",
    isSo: "boolean",
    someJson: "json",
    happenedAt: "instant",
  },
});

test("a row of every type of column comes back as it was written, and is overwritten by key", async (t) => {
  const pool = await openPool(await testDatabase());
  t.after(() => pool.end());
  await pool.query(sql.unsafe`create table wide (id text, namespace text, some_text text, some_count integer, some_ms double precision,
    is_so boolean, some_json jsonb, happened_at timestamptz, primary key (id, namespace))`);
  const nothing: Wide = {
    id: "b",
    someText: null,
    someCount: null,
    someMs: null,
    isSo: null,
    someJson: null,
    happenedAt: null,
  };
  const full: Wide = {
    id: 'a,"b" \\ {c} NULL',
    someText: 'näh 🪡 "quoted", {braces} \\ NULL\n',
    someCount: -3,
    someMs: 0.1 + 0.2,
    isSo: true,
    someJson: { a: [1, "zwei", null], "b c": { d: '"' } },
    happenedAt: 1_700_000_000_123,
  };
  assert.equal(await upsertRows(pool, { table: wide, namespace: "ns" }, [full, nothing]), 2);
  assert.deepEqual(
    await loadRows(pool, { table: wide, namespace: "ns", queue: "default" }, [full.id, "b", "none"]),
    new Map([
      [full.id, full],
      ["b", nothing],
    ]),
  );
  await upsertRows(pool, { table: wide, namespace: "ns" }, [{ ...nothing, someText: "new" }]);
  await upsertRows(pool, { table: wide, namespace: "other" }, [nothing]);
  assert.equal(
    (await loadRows(pool, { table: wide, namespace: "ns", queue: "default" }, ["b"])).get("b")?.someText,
    "new",
  );
  assert.equal(
    (await loadRows(pool, { table: wide, namespace: "other", queue: "default" }, ["b"])).get("b")?.someText,
    null,
  );
  assert.equal(await upsertRows(pool, { table: wide, namespace: "ns" }, []), 0);
});
