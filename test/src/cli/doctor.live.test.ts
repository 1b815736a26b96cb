import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, test } from "node:test";
import { Redis } from "ioredis";
import { testDatabase, testNamespace, testRedis } from "../../support/servers.ts";
import { seedLane } from "./seeded-lane.ts";
import { documents, tasktrail } from "./tasktrail.ts";

const REDIS_URL = await testRedis();
const redis = new Redis(REDIS_URL);
const users: string[] = [];

after(async () => {
  for (const user of users) await redis.call("ACL", "DELUSER", user);
  redis.disconnect();
});

/** The URL of a Redis user with these rights alone. */
async function userWith(...rights: readonly string[]): Promise<string> {
  const name = `doctor-${randomBytes(4).toString("hex")}`;
  users.push(name);
  await redis.call("ACL", "SETUSER", name, "on", ">secret", ...rights);
  const url = new URL(REDIS_URL);
  [url.username, url.password] = [name, "secret"];
  return url.href;
}

const examine = async (env: Readonly<Record<string, string>>) => {
  const ran = await tasktrail(["doctor", "--json"], { env });
  const told = documents(ran).map(
    ({ area, level, what, advice }) => `${level} ${area}: ${what}${advice ? ` → ${advice}` : ""}`,
  );
  return { code: ran.code, told: told.join("\n") };
};

test("a new installation is told to migrate, and is well after that", async () => {
  const env = { REDIS_URL, DATABASE_URL: await testDatabase(), TASKTRAIL_NAMESPACE: testNamespace() };
  const before = await examine(env);
  assert.equal(before.code, 1);
  assert.match(before.told, /fail Postgres: \d migrations pending: 0001-ledger-archive.* → Run: tasktrail migrate/);
  await tasktrail(["migrate"], { env });
  const { code, told } = await examine(env);
  assert.equal(code, 0, told);
  assert.match(told, /ok Redis: reachable at redis:\/\/\*\*\*:\*\*\*@127\.0\.0\.1/);
  assert.match(told, /ok Redis: (Redis|Valkey) \d/);
  assert.match(told, /ok Redis: nothing is evicted/);
  assert.match(told, /ok Redis: the user may send all \d+ commands/);
  assert.match(told, /ok Postgres: PostgreSQL \d/);
  assert.match(told, /ok clocks: Redis and this machine are \d+ms apart\nok clocks: Postgres/);
  assert.doesNotMatch(told, /fail/);
});

test("servers that are away are findings, each with what to do, and passwords are not told", async () => {
  const { code, told } = await examine({
    REDIS_URL: "redis://someone:secret@127.0.0.1:1",
    DATABASE_URL: "postgres://someone:secret@127.0.0.1:1/app",
    TASKTRAIL_CONCURENCY: "3",
  });
  assert.equal(code, 1);
  assert.match(told, /fail Redis: .* does not answer: ECONNREFUSED\. → Start it/);
  assert.match(told, /fail Postgres: .*nothing listens there/);
  assert.match(told, /warn settings: TASKTRAIL_CONCURENCY is set.*Did you mean TASKTRAIL_CONCURRENCY\?/);
  assert.doesNotMatch(told, /secret/);
});

test("no Postgres is a warning alone", async () => {
  const { code, told } = await examine({ REDIS_URL, TASKTRAIL_NAMESPACE: testNamespace() });
  assert.equal(code, 0, told);
  assert.match(told, /warn Postgres: none is named/);
});

test("commands that a Redis user may not send are named, with the rights to grant", async () => {
  const url = await userWith("~*", "+@all", "-xclaim", "-xgroup|delconsumer", "-zremrangebyscore");
  const { code, told } = await examine({ REDIS_URL: url, TASKTRAIL_NAMESPACE: testNamespace() });
  assert.equal(code, 1);
  assert.match(
    told,
    /fail Redis: the user may not send XCLAIM, XGROUP\|DELCONSUMER, ZREMRANGEBYSCORE → Grant \+xclaim \+xgroup\|delconsumer \+zremrangebyscore/,
  );
});

test("keys that a Redis user may not use are told", async () => {
  const url = await userWith("~other:*", "+@all");
  const { code, told } = await examine({ REDIS_URL: url, TASKTRAIL_NAMESPACE: testNamespace() });
  assert.equal(code, 1);
  assert.match(told, /fail Redis: the user may not use the keys of this namespace → Grant ~\{test-[0-9a-f]+\*/);
});

test("examining the rights changes nothing", async () => {
  const TASKTRAIL_NAMESPACE = testNamespace();
  await examine({ REDIS_URL, TASKTRAIL_NAMESPACE });
  assert.deepEqual(await redis.keys(`{${TASKTRAIL_NAMESPACE}*`), []);
});

test("a user who sees nothing of the server still gets an examination", async () => {
  const url = await userWith("~*", "+@all", "-info", "-memory", "-multi");
  const { told } = await examine({ REDIS_URL: url, TASKTRAIL_NAMESPACE: testNamespace() });
  assert.match(told, /warn Redis: INFO is refused/);
  assert.match(told, /warn Redis: the rights of the user are unknown/);
});

test("waiting without a worker, dead runs and a ledger that nobody projects are found in the streams", async () => {
  const env = { REDIS_URL, DATABASE_URL: await testDatabase(), TASKTRAIL_NAMESPACE: testNamespace() };
  await tasktrail(["migrate"], { env });
  using lane = await seedLane(REDIS_URL, env.TASKTRAIL_NAMESPACE, "mail");
  await lane.add("a");
  await lane.add("b");
  await lane.die("no");
  await redis.zadd(lane.lane.keys.workers, 1, lane.worker); // its lease has lapsed long ago
  const { code, told } = await examine(env);
  assert.equal(code, 1);
  assert.match(told, /fail streams: queue mail: 1 run waits, the oldest for \S+, and no worker is there → Start one/);
  assert.match(told, /warn streams: queue mail: 1 run died → See why: tasktrail dead list/);
  assert.match(told, /warn streams: queue mail: no projector has read its ledger/);
});

test("the report for people has a line and a sum", async () => {
  const { out } = await tasktrail(["doctor"], { env: { REDIS_URL, TASKTRAIL_NAMESPACE: testNamespace() } });
  assert.match(out, /^ok {4}Redis {5}reachable/m);
  assert.match(out, /^warn {2}Postgres {2}none is named.*\n {16}→ Set DATABASE_URL/m);
  assert.match(out, /0 problems, \d warnings?, \d+ ok\n$/);
});
