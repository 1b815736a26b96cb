import assert from "node:assert/strict";
import { test } from "node:test";
import { Redis } from "ioredis";
import { createBroker } from "../../src/broker.ts";
import { startRedis } from "../../src/dev/start-redis.ts";
import { createWorker } from "../../src/worker.ts";
import { openProxy } from "../crash/proxy.ts";
import { eventually } from "../support/servers.ts";
import { openWork, type TestWork } from "../support/work.ts";

/** A broker whose connections go by way of a link that can fail. */
async function openFaulty(work: TestWork) {
  const proxy = await openProxy(Number(new URL(work.url).port));
  const logger = { debug() {}, info() {}, warn() {}, error() {}, child: () => logger };
  const broker = createBroker({ redis: proxy.through(work.url), namespace: work.namespace, logger });
  return { proxy, broker };
}

test("cut connections strand nothing and double nothing", async () => {
  await using work = await openWork();
  const { proxy, broker } = await openFaulty(work);
  await using _proxy = proxy;
  await using _broker = broker;
  const seen = new Map<string, number>();
  const define = (one: typeof broker) =>
    one.task({
      name: "counted",
      async run(_input, _deps, run) {
        seen.set(run.id, (seen.get(run.id) ?? 0) + 1);
        await new Promise((resolve) => setTimeout(resolve, 5));
      },
    });
  define(broker);
  const sender = define(work.broker);
  const worker = createWorker(broker, { lease: "2s", concurrency: 20 });
  void worker.run();
  const runs = [];
  for (let round = 0; round < 15; round += 1) {
    runs.push(...(await sender.kiqMany(Array.from({ length: 40 }))));
    await new Promise((resolve) => setTimeout(resolve, 60));
    if (round % 3 === 0) proxy.cut();
    else if (round % 3 === 1) proxy.loseNextReply();
  }
  const endings = await work.ledger.ended(
    runs.map(({ id }) => id),
    20_000,
  );
  assert.ok(endings.every((ending) => ending.type === "run.succeeded"));
  assert.ok([...seen.values()].every((count) => count === 1));
  await worker.stop();
});

test("a link that goes silent without closing is replaced", async () => {
  await using work = await openWork();
  const { proxy, broker } = await openFaulty(work);
  await using _proxy = proxy;
  await using _broker = broker;
  broker.task({ name: "quick", run() {} });
  const sender = work.broker.task({ name: "quick", run() {} });
  const worker = createWorker(broker, { lease: "1s" });
  void worker.run();
  const first = await sender.kiq();
  await work.ledger.ended([first.id]);
  proxy.silence();
  await eventually(() => !worker.health().isReady);
  proxy.heal();
  proxy.cut();
  const second = await sender.kiq();
  await work.ledger.ended([second.id]);
  await eventually(() => worker.health().isReady);
  await worker.stop();
});

test("a queue that vanishes under its worker is made anew", async () => {
  await using work = await openWork();
  const gate = Promise.withResolvers<void>();
  let aborted: unknown;
  const slow = work.broker.task({
    name: "slow",
    async run(_input, _deps, { signal }) {
      signal.addEventListener("abort", () => {
        aborted = signal.reason;
      });
      await gate.promise;
    },
  });
  const quick = work.broker.task({ name: "quick", run() {} });
  work.work({ lease: "1s" });
  await slow.kiq();
  await work.ledger.waitFor((events) => events.some((event) => event.type === "run.started"));
  const all = await work.redis.keys(`${work.keys.tag.replace("{", "\\{")}*`);
  await work.redis.del(...all);
  const after = await quick.kiq();
  await eventually(async () => (await after.status()) === "succeeded");
  await eventually(() => (aborted as { code?: string } | undefined)?.code === "lease_lost");
  gate.resolve();
  await eventually(async () => (await work.redis.xlen(work.keys.tasks)) === 0);
  work.ledger.assertLegal = async () => {}; // the run's beginning vanished
});

test("a consumer group that is destroyed under its worker is made anew", async () => {
  await using work = await openWork();
  const quick = work.broker.task({ name: "quick", run() {} });
  work.work({ lease: "1s" });
  const first = await quick.kiq();
  await work.ledger.ended([first.id]);
  await work.redis.xgroup("DESTROY", work.keys.tasks, "workers");
  await work.redis.xgroup("DESTROY", work.keys.again, "workers");
  const runs = await quick.kiqMany([undefined, undefined, undefined] as never);
  await work.ledger.ended(runs.map(({ id }) => id));
});

test("a worker does not start where keys are evicted, nor without a right to log in or to work, and says why", async () => {
  await using server = await startRedis();
  const redis = new Redis(server.url);
  const logger = { debug() {}, info() {}, warn() {}, error() {}, child: () => logger };
  const start = async (url: string) => {
    await using broker = createBroker({ redis: url, namespace: "t", logger });
    broker.task({ name: "quick", run() {} });
    await createWorker(broker).run(AbortSignal.timeout(5_000));
  };
  await redis.config("SET", "maxmemory", "100mb");
  await redis.config("SET", "maxmemory-policy", "allkeys-lru");
  await assert.rejects(start(server.url), /evicts keys.*maxmemory-policy allkeys-lru.*noeviction/s);
  await redis.config("SET", "maxmemory-policy", "noeviction");
  const wrong = new URL(server.url);
  wrong.password = "wrong";
  await assert.rejects(start(wrong.href), /refuses the login/);
  await redis.call("ACL", "SETUSER", "weak", "on", ">pw", "~*", "+@all", "-evalsha");
  wrong.username = "weak";
  wrong.password = "pw";
  await assert.rejects(start(wrong.href), /not do all that a worker does.*EVALSHA: grant \+evalsha/s);
  redis.disconnect();
});

test("a worker that starts before Redis waits for it", async () => {
  const server = await startRedis();
  await server.stop();
  const logger = { debug() {}, info() {}, warn() {}, error() {}, child: () => logger };
  await using broker = createBroker({ redis: server.url, namespace: "t", logger });
  broker.task({ name: "quick", run() {} });
  await using worker = createWorker(broker);
  const running = worker.run();
  await server.restart();
  await eventually(() => worker.health().isReady);
  await worker.stop();
  await running;
  await server[Symbol.asyncDispose]();
});
