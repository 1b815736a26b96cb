import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { pathToFileURL } from "node:url";
import { sql } from "slonik";
import {
  type Migration,
  MigrationError,
  migrate,
  pendingMigrations,
  readMigrations,
  requireMigrations,
} from "../../sql/migrate.ts";
import { openPool } from "../../sql/pool.ts";
import { statement } from "../../sql/statement.ts";
import { testDatabase } from "../support/servers.ts";

async function aPool(t: TestContext, url?: string) {
  const pool = await openPool(url ?? (await testDatabase()), { size: 12 });
  t.after(() => pool.end());
  return pool;
}

/** Migrations from files of the test's own, by name. */
async function migrationsOf(t: TestContext, files: Readonly<Record<string, string>>): Promise<Migration[]> {
  const folder = await mkdtemp(join(tmpdir(), "tasktrail-migrations-"));
  t.after(() => rm(folder, { recursive: true }));
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, `${name}.sql`), text);
  return readMigrations(pathToFileURL(`${folder}/`));
}

test("ten processes that start at once apply each migration once", async (t) => {
  const url = await testDatabase();
  const pools = await Promise.all(Array.from({ length: 10 }, () => aPool(t, url)));
  const told: string[] = [];
  const applied = await Promise.all(pools.map((pool) => migrate(pool, { onApplied: ({ name }) => told.push(name) })));
  const names = (await readMigrations()).map(({ name }) => name);
  assert.deepEqual(
    applied.flat().map(({ name }) => name),
    names,
  );
  assert.deepEqual(told, names);
  const [pool] = pools;
  assert.ok(pool);
  assert.deepEqual(await pendingMigrations(pool), []);
  await requireMigrations(pool);
});

test("what is pending is told, and who may not migrate is told what to do", async (t) => {
  const pool = await aPool(t);
  assert.equal((await pendingMigrations(pool)).length, (await readMigrations()).length);
  await assert.rejects(requireMigrations(pool), /0001-ledger-archive.*tasktrail migrate/);
});

test("a new migration is applied on top of the old ones", async (t) => {
  const pool = await aPool(t);
  const first = { "0001-a": "create table a (b text);\n" };
  await migrate(pool, { migrations: await migrationsOf(t, first) });
  const both = await migrationsOf(t, { ...first, "0002-b": "alter table a add column c text;\n" });
  assert.deepEqual(
    (await migrate(pool, { migrations: both })).map(({ id }) => id),
    [2],
  );
  await pool.query(sql.unsafe`insert into a (b, c) values ('x', 'y')`);
});

test("a released migration that was changed is refused, with its name", async (t) => {
  const pool = await aPool(t);
  await migrate(pool, { migrations: await migrationsOf(t, { "0001-a": "create table a (b text);\n" }) });
  const changed = await migrationsOf(t, { "0001-a": "create table a (b text, c text);\n" });
  await assert.rejects(migrate(pool, { migrations: changed }), {
    code: "migration_changed",
    message: /0001-a .*never changes/,
  });
});

test("a database from a newer version is refused", async (t) => {
  const pool = await aPool(t);
  const first = { "0001-a": "create table a (b text);\n" };
  await migrate(pool, { migrations: await migrationsOf(t, { ...first, "0002-b": "create table c (d text);\n" }) });
  const older = await migrationsOf(t, first);
  await assert.rejects(migrate(pool, { migrations: older }), {
    code: "database_too_new",
    message: /0002-b.*Update tasktrail/,
  });
});

test("a migration that fails leaves nothing behind, and says which statement it was", async (t) => {
  const pool = await aPool(t);
  const broken = await migrationsOf(t, {
    "0001-a": "create table a (b text);\n",
    "0002-b": "create table c (d text);\nalter table nowhere add column x text;\n",
  });
  await assert.rejects(migrate(pool, { migrations: broken }), (error: MigrationError) => {
    assert.equal(error.code, "migration_failed");
    assert.match(error.message, /0002-b failed at "alter table nowhere/);
    return true;
  });
  const [found] = await pool.any(
    sql.unsafe`select to_regclass('a') is null and to_regclass('tasktrail_migrations') is null as nothing`,
  );
  assert.deepEqual(found, { nothing: true });
});

test("the tables are made in the schema that the connection names first", async (t) => {
  const url = new URL(await testDatabase());
  const plain = await aPool(t, url.href);
  await plain.query(sql.unsafe`create schema jobs`);
  url.searchParams.set("options", "-csearch_path=jobs");
  await migrate(await aPool(t, url.href));
  const found = await plain.any(
    sql.unsafe`select table_name from information_schema.tables where table_schema = 'jobs' and table_name in ('task_runs', 'ledger_events', 'tasktrail_migrations')`,
  );
  assert.equal(found.length, 3);
});

test("a user who may not create tables is told what to grant", async (t) => {
  const url = new URL(await testDatabase());
  const pool = await aPool(t, url.href);
  const role = `reader_${url.pathname.slice(1)}`;
  await pool.query(statement(`create role ${role} login password 'secret'`, []));
  t.after(async () => {
    const admin = await openPool(url.href);
    await admin.query(statement(`drop role ${role}`, []));
    await admin.end();
  });
  const asReader = new URL(url);
  asReader.username = role;
  asReader.password = "secret";
  await assert.rejects(migrate(await aPool(t, asReader.href)), (error: Error) => {
    assert.ok(error instanceof MigrationError || /permission denied/.test(error.message));
    assert.match(error.message, /permission denied/);
    return true;
  });
});
