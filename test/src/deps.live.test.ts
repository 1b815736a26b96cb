import assert from "node:assert/strict";
import { after, test } from "node:test";
import { Redis } from "ioredis";
import { pino } from "pino";
import { sql } from "slonik";
import { z } from "zod";
import { createBroker } from "../../src/broker.ts";
import type { BrokerOptions } from "../../src/define/broker.ts";
import { topic } from "../../src/define/topic.ts";
import { type DbSession, getDbSession, getEventPublisher, getLogger, getPool, getRedis } from "../../src/deps.ts";
import { getRun } from "../../src/di/leaves.ts";
import { override } from "../../src/di/provider.ts";
import { createRelay } from "../../src/relay.ts";
import { getWorkerInfo } from "../../src/stock/worker-info.ts";
import { createWorker } from "../../src/worker.ts";
import { topicKey } from "../../streams/keys.ts";
import { eventually, testDatabase, testNamespace, testRedis } from "../support/servers.ts";

const database = testDatabase();
const insert = (db: Pick<DbSession, "query">, n: number) => db.query(sql.unsafe`insert into numbers values (${n})`);

async function open(options: BrokerOptions = {}) {
  const logger = { debug() {}, info() {}, warn() {}, error() {}, child: () => logger };
  const namespace = testNamespace();
  const broker = createBroker({
    redis: await testRedis(),
    database: await database,
    namespace,
    logger,
    ...options,
  });
  const setUp = broker.task({
    name: "set_up",
    deps: { pool: getPool },
    async run(_input, { pool }) {
      await pool.query(sql.unsafe`create table if not exists numbers (n integer primary key)`);
      await pool.query(sql.unsafe`truncate numbers`);
    },
  });
  await setUp.call();
  const numbers = broker.task({
    name: "numbers",
    deps: { pool: getPool },
    run: async (_input, { pool }) => [
      ...(await pool.anyFirst(sql.type(z.object({ n: z.number() }))`select n from numbers order by n`)),
    ],
  });
  return { broker, namespace, numbers: () => numbers.call() };
}

test("a session commits when the handler returns, and rolls back when it throws", async () => {
  const { broker, numbers } = await open();
  const add = broker.task({
    name: "add",
    input: z.object({ n: z.number(), fails: z.boolean().default(false) }),
    deps: { db: getDbSession },
    async run({ n, fails }, { db }) {
      await insert(db, n);
      if (fails) throw new Error("after the statement");
    },
  });
  await add.call({ n: 1 });
  await assert.rejects(add.call({ n: 2, fails: true }), /after the statement/);
  assert.deepEqual(await numbers(), [1]);
});

test("a session that is not used takes no connection, and its first statement begins it", async () => {
  const { broker } = await open();
  const idle = broker.task({
    name: "idle",
    deps: { db: getDbSession, pool: getPool },
    async run(_input, { db, pool }) {
      const acquired = () => pool.state().acquiredConnections;
      const before = acquired();
      await db.query(sql.unsafe`select 1`);
      return [before, acquired(), typeof db.transactionId];
    },
  });
  assert.deepEqual(await idle.call(), [0, 1, "string"]);
});

test("a session whose statement had failed does not pretend to commit", async () => {
  const { broker, numbers } = await open();
  const careless = broker.task({
    name: "careless",
    deps: { db: getDbSession },
    async run(_input, { db }) {
      await insert(db, 1);
      await insert(db, 1).catch(() => {});
    },
  });
  await assert.rejects(careless.call(), { code: "provider_misused", message: /cannot commit/ });
  const careful = broker.task({
    name: "careful",
    deps: { db: getDbSession },
    async run(_input, { db }) {
      await insert(db, 2);
      await db.transaction((inner) => insert(inner, 2)).catch(() => {});
      await db.one(sql.unsafe`select 1 where false`).catch(() => {});
    },
  });
  await careful.call();
  assert.deepEqual(await numbers(), [2]);
});

test("statements that nobody awaited are in the transaction, and those that come after it are refused", async () => {
  const { broker, numbers } = await open();
  let kept: DbSession | undefined;
  const hasty = broker.task({
    name: "hasty",
    deps: { db: getDbSession },
    async run(_input, { db }) {
      kept = db;
      void insert(db, 1);
    },
  });
  await hasty.call();
  await assert.rejects(insert(kept as DbSession, 2), { code: "provider_misused", message: /is over/ });
  assert.deepEqual(await numbers(), [1]);
});

test("a serialization failure fails the attempt, and runs nothing twice behind its back", async () => {
  const { broker } = await open();
  let count = 0;
  const clash = broker.task({
    name: "clash",
    deps: { db: getDbSession },
    async run(_input, { db }) {
      count += 1;
      await db.query(sql.unsafe`do $$ begin raise exception 'clash' using errcode = '40001'; end $$`);
    },
  });
  await assert.rejects(clash.call());
  assert.equal(count, 1);
});

test("a statement may take as long as its task, and is ended then", async () => {
  const { broker } = await open();
  const settings = z.object({ statement: z.string(), idle: z.string() });
  const define = (name: string, timeout: "20s" | "2h") =>
    broker.task({
      name,
      timeout,
      deps: { db: getDbSession },
      run: async (_input, { db }) => ({
        ...(await db.one(
          sql.type(
            settings,
          )`select current_setting('statement_timeout') as statement, current_setting('idle_in_transaction_session_timeout') as idle`,
        )),
      }),
    });
  const [short, long] = [define("short", "20s"), define("long", "2h")];
  const inWorker = { worker: "w", concurrency: 1, maxTimeoutMs: 7_200_000 };
  assert.deepEqual(await short.call([override(getWorkerInfo, inWorker)]), { statement: "25s", idle: "25s" });
  assert.deepEqual(await long.call([override(getWorkerInfo, inWorker)]), { statement: "7205s", idle: "7205s" });
});

test("a pool is as large as its worker's concurrency, and ends with it", async () => {
  const { broker } = await open();
  let pool: { state(): { state: string } } | undefined;
  const wide = broker.task({
    name: "wide",
    deps: { pool: getPool },
    run(_input, deps) {
      pool = deps.pool;
      return deps.pool.configuration.maxPoolSize;
    },
  });
  assert.equal(await wide.call([override(getWorkerInfo, { worker: "w", concurrency: 23, maxTimeoutMs: 1_000 })]), 23);
  assert.equal(pool?.state().state, "ENDED");
});

test("without a database it is said what is missing", async () => {
  const { DATABASE_URL: before } = process.env;
  delete process.env.DATABASE_URL;
  const broker = createBroker({ namespace: "n" });
  const task = broker.task({ name: "task", deps: { db: getDbSession }, run() {} });
  await assert.rejects(task.call(), { code: "invalid_option", message: /set DATABASE_URL/ });
  if (before !== undefined) process.env.DATABASE_URL = before;
});

test("a logger writes the run on every line", async () => {
  const lines: Record<string, unknown>[] = [];
  const { broker } = await open({ logger: pino({ base: null }, { write: (line) => lines.push(JSON.parse(line)) }) });
  const task = broker.task({
    name: "talk",
    queue: "slow",
    deps: { logger: getLogger, run: getRun },
    run(_input, { logger, run }) {
      logger.info({ n: 1 }, "hello");
      return run.id;
    },
  });
  const run = await task.call();
  const { time: _time, ...line } = lines.at(-1) ?? {};
  assert.deepEqual(line, {
    level: 30,
    run,
    task: "talk",
    attempt: 1,
    queue: "slow",
    worker: "call",
    n: 1,
    msg: "hello",
  });
});

test("Redis is there as ioredis gives it, with an offline queue, until the worker stops", async () => {
  const { broker, namespace } = await open();
  let client: Redis | undefined;
  const task = broker.task({
    name: "count",
    deps: { redis: getRedis },
    async run(_input, { redis }) {
      client = redis;
      const status = redis.status;
      await redis.set(`{${namespace}:mine}`, "1");
      return [status, await redis.incr(`{${namespace}:mine}`)];
    },
  });
  assert.deepEqual(await task.call(), ["wait", 2]);
  await eventually(() => client?.status === "end");
});

const userCreated = topic("user.created", z.object({ id: z.string() }));

test("domain events commit with the session, and reach their stream through a relay, in order, as CloudEvents", async () => {
  const { broker, namespace, numbers } = await open();
  const relay = createRelay(broker);
  const relaying = relay.run();
  after(async () => {
    await relay.stop();
    await relaying;
  });
  await eventually(() => relay.health().isReady); // it makes the outbox
  const redis = new Redis(await testRedis());
  const stream = topicKey(namespace, "user.created");
  let duringRun = -1;
  const create = broker.task({
    name: "create",
    input: z.object({ fails: z.boolean() }),
    deps: { db: getDbSession, events: getEventPublisher, run: getRun },
    async run({ fails }, { db, events, run }) {
      await insert(db, fails ? 8 : 7);
      events.publish(userCreated, { id: "a" }, { subject: "users/a" });
      events.publish(userCreated, { id: "b", extra: 1 } as { id: string });
      duringRun = await redis.xlen(stream);
      if (fails) throw new Error("rolls back");
      return run.id;
    },
  });
  await assert.rejects(create.call({ fails: true }), /rolls back/);
  assert.equal(await redis.exists(stream), 0);
  const run = await create.call({ fails: false });
  assert.equal(duringRun, 0);
  assert.deepEqual(await numbers(), [7]);
  await eventually(async () => (await redis.xlen(stream)) === 2);
  const events = (await redis.xrange(stream, "-", "+")).map(([, fields]) => JSON.parse(fields[1] as string));
  const [first, second] = events;
  assert.equal(events.length, 2);
  const { id, time, ...rest } = first;
  assert.deepEqual(rest, {
    specversion: "1.0",
    source: `/${namespace}/create`,
    type: "user.created",
    subject: "users/a",
    datacontenttype: "application/json",
    tasktrailrun: run,
    data: { id: "a" },
  });
  assert.ok(!Number.isNaN(Date.parse(time)) && id !== second.id);
  assert.deepEqual(second.data, { id: "b" });
  redis.disconnect();
});

test("a domain event that does not fit is refused where it is published", async () => {
  const { broker } = await open();
  const task = broker.task({
    name: "task",
    deps: { events: getEventPublisher },
    run(_input, { events }) {
      assert.throws(() => events.publish(userCreated, { id: 5 } as never), { code: "invalid_input" });
      assert.throws(() => events.publish({ name: "x" } as never, {}), { code: "invalid_option" });
    },
  });
  await task.call();
});

test("in a worker, nothing is published of a failed attempt", async () => {
  const { broker, namespace, numbers } = await open();
  const relay = createRelay(broker);
  const relaying = relay.run();
  await eventually(() => relay.health().isReady);
  const redis = new Redis(await testRedis());
  const ids: string[] = [];
  const create = broker.task({
    name: "create",
    retry: { attempts: 2, delay: "10ms" },
    deps: { db: getDbSession, events: getEventPublisher, logger: getLogger },
    async run(_input, { db, events }, { attempt }) {
      await insert(db, attempt);
      events.publish(userCreated, { id: `${attempt}` });
      if (attempt === 1) throw new Error("once");
    },
  });
  const worker = createWorker(broker, { concurrency: 2 });
  const running = worker.run();
  const run = await create.kiq();
  await run.result();
  await eventually(async () => (await redis.xlen(topicKey(namespace, "user.created"))) > 0);
  const entries = await redis.xrange(topicKey(namespace, "user.created"), "-", "+");
  for (const [, fields] of entries) ids.push(JSON.parse(fields[1] as string).data.id);
  assert.deepEqual(ids, ["2"]);
  assert.deepEqual(await numbers(), [2]);
  await Promise.all([worker.stop(), relay.stop()]);
  await Promise.all([running, relaying]);
  await broker.close();
  redis.disconnect();
});
