import assert from "node:assert/strict";
import { test } from "node:test";
import { Redis } from "ioredis";
import { createBroker } from "../../src/broker.ts";
import { engineOf } from "../../src/engine.ts";
import { type Notice, processMiddleware } from "../../src/middleware.ts";
import { laneKeys } from "../../streams/keys.ts";
import { eventually, testNamespace, testRedis } from "../support/servers.ts";

test("closing a broker sends what is pending, and closes what was opened", async () => {
  const redis = new Redis(await testRedis());
  const namespace = testNamespace();
  const broker = createBroker({ redis: await testRedis(), namespace });
  const task = broker.task({ name: "task", run() {} });
  const sending = task.kiq();
  await broker.close();
  assert.equal(await redis.xlen(laneKeys(namespace, "default").tasks), 1);
  const run = await sending;
  assert.equal(await run.status(), "waiting", "a broker that is used again opens again");
  await broker.close();
  redis.disconnect();
});

test("a broker has one connection for the dispatches of all its queues", async () => {
  const redis = new Redis(await testRedis());
  const connections: string[] = [];
  const url = await testRedis();
  const broker = createBroker({
    namespace: testNamespace(),
    redis() {
      const client = new Redis(url, { lazyConnect: true, connectionName: `one-${process.pid}` });
      connections.push("made");
      return client;
    },
  });
  const task = broker.task({ name: "task", run() {} });
  await Promise.all(["a", "b", "c"].map((queue) => task.with({ queue }).kiq()));
  assert.equal(connections.length, 1);
  const mine = () => redis.client("LIST").then((list) => String(list).split(`name=one-${process.pid}`).length - 1);
  assert.equal(await mine(), 1);
  await broker.close();
  await eventually(async () => (await mine()) === 0);
  redis.disconnect();
});

test("a function that gives the same client twice, or one with a prefix, is refused", async () => {
  const url = await testRedis();
  const shared = new Redis(url, { lazyConnect: true });
  const engine = engineOf(createBroker({ namespace: "n", redis: () => shared }));
  await engine.connect("dispatch");
  await assert.rejects(engine.connect("follow"), { code: "invalid_option", message: /a new client each time/ });
  const prefixed = createBroker({ redis: () => new Redis(url, { lazyConnect: true, keyPrefix: "app:" }) });
  const task = prefixed.task({ name: "task", run() {} });
  await assert.rejects(task.kiq(), { code: "invalid_option", message: /keyPrefix/ });
  shared.disconnect();
});

test("whoever listens hears of runs that Redis has taken, and of no others", async (t) => {
  const heard: Notice[] = [];
  processMiddleware().push({ name: "ear", notice: (notice) => heard.push(notice) });
  t.after(() => processMiddleware().splice(0));
  const broker = createBroker({ redis: await testRedis(), namespace: testNamespace() });
  const task = broker.task({ name: "task", run() {} });
  const [first] = await Promise.all([1, 2].map(() => task.with({ key: "k" }).kiq()));
  await task.with({ key: "k" }).kiq();
  assert.deepEqual(
    heard.flatMap((notice) => (notice.kind === "events.recorded" ? notice.events.map((event) => event.type) : [])),
    ["run.enqueued"],
  );
  assert.equal(heard[0]?.kind === "events.recorded" && (heard[0].events[0] as { run?: string }).run, first?.id);
  await broker.close();
});

test("trouble with Redis is logged when it begins, and its end", async () => {
  const lines: string[] = [];
  const log = (_facts: object, message?: string) => void lines.push(String(message));
  const logger = { debug: log, info: log, warn: log, error: log, child: () => logger };
  const broker = createBroker({ redis: "redis://127.0.0.1:1", namespace: "n", logger, enqueueTimeout: "100ms" });
  await assert.rejects(broker.task({ name: "task", run() {} }).kiq(), { code: "enqueue_failed" });
  assert.deepEqual(lines, ["Redis cannot be reached; trying again"]);
});
