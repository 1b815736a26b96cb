import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { test } from "node:test";
import { Redis } from "ioredis";
import pg from "pg";
import type { Server } from "../../../src/dev/server.ts";
import { startPostgres } from "../../../src/dev/start-postgres.ts";
import { startRedis } from "../../../src/dev/start-redis.ts";
import { allEnd } from "../../support/programs.ts";

/** Counts the times it is asked, in the server's data. */
type Count = (url: string) => Promise<number>;

const countInRedis: Count = async (url) => {
  const redis = new Redis(url, { lazyConnect: true, retryStrategy: () => null });
  redis.on("error", () => {}); // the command that fails says it
  try {
    await redis.connect();
    return await redis.incr("count");
  } finally {
    redis.disconnect();
  }
};

const countInPostgres: Count = async (url) => {
  const session = new pg.Client(url);
  await session.connect();
  await session.query("create table if not exists counts (at timestamptz default now())");
  await session.query("insert into counts default values");
  const { rows } = await session.query("select count(*)::int from counts");
  await session.end();
  return rows[0].count;
};

const kinds: [string, typeof startRedis, Count][] = [
  ["Redis", startRedis, countInRedis],
  ["Postgres", startPostgres, countInPostgres],
];

for (const [name, start, count] of kinds) {
  test(`a durable ${name} that is killed with -9 restarts on its port with its data`, async () => {
    await using server: Server = await start({ durable: true });
    const { url, port, pid } = server;
    assert.equal(await count(url), 1);
    await server.kill();
    assert.equal(server.isRunning(), false);
    await assert.rejects(count(url));
    await server.restart();
    assert.deepEqual([server.url, server.port], [url, port]);
    assert.notEqual(server.pid, pid);
    assert.equal(await count(url), 2);
  });

  test(`a ${name} that is disposed of leaves no process and no folder`, async () => {
    const server = await start();
    await server[Symbol.asyncDispose]();
    await allEnd([server.pid], 0);
    assert.equal(existsSync(server.dataDir), false);
  });

  test(`a ${name} wants its password`, async () => {
    await using server = await start();
    const stranger = server.url.replace(/:[0-9a-f]+@/, ":wrong@");
    await assert.rejects(count(stranger));
  });

  test(`two ${name}s at once do not meet`, async () => {
    await using one = await start();
    await using two = await start();
    assert.notEqual(one.port, two.port);
    assert.deepEqual([await count(one.url), await count(two.url)], [1, 1]);
  });
}

test("a Redis that cannot start is described by its own last words", async () => {
  await assert.rejects(startRedis({ args: ["--no-such-setting", "1"] }), /ended at once[\s\S]*no-such-setting/);
});

test("a Postgres that cannot start is described by its own last words", async () => {
  await assert.rejects(startPostgres({ args: ["-c", "no_such_setting=1"] }), /ended at once[\s\S]*no_such_setting/);
});

test("a port in use by another is refused when it was asked for by number", async () => {
  await using first = await startRedis();
  await assert.rejects(startRedis({ port: first.port }), /ddress already in use/);
});
