import assert from "node:assert/strict";
import { test } from "node:test";
import { Redis } from "ioredis";
import pg from "pg";
import { testDatabase, testNamespace, testRedis } from "../../support/servers.ts";

test("the shared Redis takes keys of a namespace", async () => {
  const redis = new Redis(await testRedis());
  const key = `{${testNamespace()}:q}:x`;
  await redis.set(key, "1");
  assert.equal(await redis.get(key), "1");
  redis.disconnect();
});

test("a test database is empty and UTF-8", async () => {
  const client = new pg.Client(await testDatabase());
  await client.connect();
  const { rows } = await client.query(
    "select upper('ä') as upper, (select count(*)::int from pg_stat_user_tables) as tables",
  );
  assert.deepEqual(rows, [{ upper: "Ä", tables: 0 }]);
  await client.end();
});
