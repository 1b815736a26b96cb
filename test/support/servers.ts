import { randomBytes } from "node:crypto";
import { after } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { Redis } from "ioredis";
import pg from "pg";
import type { Server } from "../../src/dev/server.ts";
import { startPostgres } from "../../src/dev/start-postgres.ts";
import { startRedis } from "../../src/dev/start-redis.ts";

// `npm test` starts one Redis and one Postgres for the whole run and says where they are; a file run alone by other
// means starts its own at first use.
const shared: { redis?: Promise<Server>; postgres?: Promise<Server> } = {};
const namespaces: string[] = [];
const databases: string[] = [];

after(async () => {
  await Promise.all([...namespaces.splice(0).map(forgetNamespace), ...databases.splice(0).map(dropDatabase)]);
  for (const server of [shared.redis, shared.postgres]) await (await server)?.[Symbol.asyncDispose]();
});

/** The URL of a Redis that all test files share. Keep to keys of your own `testNamespace()`; never flush it. */
export async function testRedis(): Promise<string> {
  const given = process.env.TASKTRAIL_TEST_REDIS_URL;
  if (given) return given;
  shared.redis ??= startRedis();
  return (await shared.redis).url;
}

/** A namespace that no other test uses. Its keys are removed when the test file ends. */
export function testNamespace(): string {
  const namespace = `test-${randomBytes(6).toString("hex")}`;
  namespaces.push(namespace);
  return namespace;
}

/** The URL of a fresh, empty database, dropped when the test file ends. */
export async function testDatabase(): Promise<string> {
  const name = `test_${randomBytes(6).toString("hex")}`;
  await administer(await adminUrl(), `create database ${name}`);
  databases.push(name);
  const url = new URL(await adminUrl());
  url.pathname = `/${name}`;
  return url.href;
}

/**
 * Asks again and again until `check` gives something truthy, and returns it. A last resort, for what goes on in another
 * process and sends no signal: inside this one, wait on the ledger or on an event.
 *
 * @throws after `timeoutMs` (default 10 s), with the error that `check` threw last, if it did
 */
export async function eventually<T>(
  check: () => T | Promise<T>,
  { timeoutMs = 10_000, everyMs = 20 }: { timeoutMs?: number; everyMs?: number } = {},
): Promise<Exclude<Awaited<T>, undefined | null | false | 0 | "">> {
  const deadline = performance.now() + timeoutMs;
  let last: unknown;
  for (;;) {
    try {
      const value = await check();
      if (value) return value as Exclude<Awaited<T>, undefined | null | false | 0 | "">;
      last = undefined;
    } catch (error) {
      last = error;
    }
    if (performance.now() > deadline) {
      throw new Error(`Still not so after ${timeoutMs} ms: ${check.toString().slice(0, 200)}`, { cause: last });
    }
    await delay(everyMs);
  }
}

async function adminUrl(): Promise<string> {
  const given = process.env.TASKTRAIL_TEST_DATABASE_URL;
  if (given) return given;
  shared.postgres ??= startPostgres();
  return (await shared.postgres).url;
}

async function administer(url: string, statement: string): Promise<void> {
  const client = new pg.Client(url);
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}

async function dropDatabase(name: string): Promise<void> {
  await administer(await adminUrl(), `drop database if exists ${name} with (force)`);
}

async function forgetNamespace(namespace: string): Promise<void> {
  if (!process.env.TASKTRAIL_TEST_REDIS_URL && shared.redis === undefined) return;
  const redis = new Redis(await testRedis());
  try {
    for await (const keys of redis.scanStream({ match: `{${namespace}:*`, count: 1000 })) {
      if (keys.length > 0) await redis.unlink(keys);
    }
  } finally {
    redis.disconnect();
  }
}
