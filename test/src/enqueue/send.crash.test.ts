import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { Redis } from "ioredis";
import { z } from "zod";
import { createBroker } from "../../../src/broker.ts";
import { startRedis } from "../../../src/dev/start-redis.ts";
import { toEntry } from "../../../streams/entry.ts";
import { laneKeys } from "../../../streams/keys.ts";

const keys = laneKeys("crash", "default");

function openBroker(url: string, enqueueTimeout: "1s" | "4s" = "4s") {
  const logger = { debug() {}, info() {}, warn() {}, error() {}, child: () => logger };
  const broker = createBroker({ redis: url, namespace: "crash", enqueueTimeout, logger });
  return { broker, count: broker.task({ name: "count", input: z.object({ n: z.number() }), run() {} }) };
}

async function numbersIn(url: string): Promise<number[]> {
  const redis = new Redis(url);
  const found = await redis.xrange(keys.tasks, "-", "+");
  redis.disconnect();
  return found.map(([, fields]) => JSON.parse(toEntry(fields).body).n);
}

/** Lets bytes through to a server, until it is told otherwise. */
async function openProxy(port: number) {
  const pairs = new Set<Socket>();
  const state = { mode: "open" as "open" | "swallow" | "cut" };
  const server = createServer((client) => {
    const upstream = connect(port, "127.0.0.1");
    for (const socket of [client, upstream]) {
      pairs.add(socket);
      socket.on("error", () => {}).on("close", () => pairs.delete(socket));
    }
    client.on("data", (chunk) => upstream.write(chunk)).on("close", () => upstream.destroy());
    upstream.on("close", () => client.destroy());
    upstream.on("data", (chunk) => {
      if (state.mode === "open") return void client.write(chunk);
      if (state.mode === "cut") client.destroy();
    });
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as { port: number }).port,
    state,
    close() {
      for (const socket of pairs) socket.destroy();
      server.close();
    },
  };
}

test("dispatches wait for a Redis that is restarted, and each is there once", async () => {
  await using redis = await startRedis({ durable: true, args: ["--appendfsync", "always"] });
  const { broker, count } = openBroker(redis.url);
  await count.kiq({ n: 0 });
  await redis.kill();
  const waiting = Promise.all([1, 2, 3].map((n) => count.kiq({ n })));
  await delay(300);
  await redis.restart();
  await waiting;
  assert.deepEqual((await numbersIn(redis.url)).sort(), [0, 1, 2, 3]);
  await broker.close();
});

test("under load, a Redis that is killed and comes back holds each dispatch that was taken, and none twice", async () => {
  await using redis = await startRedis({ durable: true, args: ["--appendfsync", "always"] });
  const { broker, count } = openBroker(redis.url);
  const taken: number[] = [];
  let next = 0;
  let isOver = false;
  const dispatching = Array.from({ length: 64 }, async () => {
    while (!isOver) {
      const n = next++;
      await count.kiq({ n }).then(
        () => taken.push(n),
        () => {},
      );
    }
  });
  await delay(150);
  await redis.kill();
  await redis.restart();
  await delay(300);
  isOver = true;
  await Promise.all(dispatching);
  const found = await numbersIn(redis.url);
  assert.equal(new Set(found).size, found.length, "none twice");
  assert.deepEqual(
    taken.filter((n) => !new Set(found).has(n)),
    [],
    "each that was taken",
  );
  assert.ok(taken.length > 100, `${taken.length} were taken`);
  await broker.close();
});

test("a dispatch whose answer is lost with its connection is taken once", async () => {
  await using redis = await startRedis();
  const proxy = await openProxy(redis.port);
  const url = new URL(redis.url);
  url.port = String(proxy.port);
  const { broker, count } = openBroker(url.href);
  await count.kiq({ n: 0 });
  proxy.state.mode = "cut";
  const sending = count.with({ key: "k" }).kiq({ n: 1 });
  await delay(100);
  proxy.state.mode = "open";
  const run = await sending;
  assert.equal(run.isNew, true, "its own first try is not taken for another's");
  assert.deepEqual(await numbersIn(redis.url), [0, 1]);
  assert.equal(await run.status(), "waiting");
  await broker.close();
  proxy.close();
});

test("a dispatch whose answer never comes fails in time, as one that may have been taken", async () => {
  await using redis = await startRedis();
  const proxy = await openProxy(redis.port);
  const url = new URL(redis.url);
  url.port = String(proxy.port);
  const { broker, count } = openBroker(url.href, "1s");
  await count.kiq({ n: 0 });
  proxy.state.mode = "swallow";
  const startedAt = performance.now();
  await assert.rejects(count.with({ key: "k" }).kiq({ n: 1 }), (error: { code: string; details: object }) => {
    assert.deepEqual([error.code, error.details], ["enqueue_failed", { task: "count", ambiguous: true, sent: 0 }]);
    return true;
  });
  const tookMs = performance.now() - startedAt;
  assert.ok(tookMs > 950 && tookMs < 1_600, `it took ${tookMs} ms`);
  proxy.state.mode = "open";
  const again = await count.with({ key: "k" }).kiq({ n: 1 });
  assert.equal(again.isNew, false, "the same key finds the run that was taken");
  assert.deepEqual(await numbersIn(redis.url), [0, 1]);
  await broker.close();
  proxy.close();
});

test("a Redis that stops for a moment costs a connection, and no dispatch", async () => {
  await using redis = await startRedis();
  const { broker, count } = openBroker(redis.url);
  await count.kiq({ n: 0 });
  process.kill(redis.pid, "SIGSTOP");
  const sending = count.kiq({ n: 1 });
  await delay(2_200); // longer than an answer may take
  process.kill(redis.pid, "SIGCONT");
  await sending;
  assert.deepEqual(await numbersIn(redis.url), [0, 1]);
  await broker.close();
});

test("a full memory is told at once, and nothing was taken", async () => {
  await using redis = await startRedis();
  const { broker, count } = openBroker(redis.url);
  await count.kiq({ n: 0 });
  const admin = new Redis(redis.url);
  await admin.config("SET", "maxmemory", "1mb");
  const startedAt = performance.now();
  await assert.rejects(count.kiq({ n: 1 }), { code: "enqueue_failed", message: /no memory left/ });
  assert.ok(performance.now() - startedAt < 1_000);
  await admin.config("SET", "maxmemory", "0");
  await count.kiq({ n: 2 });
  assert.deepEqual(await numbersIn(redis.url), [0, 2]);
  admin.disconnect();
  await broker.close();
});

test("a result that is waited for is told over a restart of Redis", async () => {
  await using redis = await startRedis({ durable: true });
  const { broker, count } = openBroker(redis.url);
  const run = await count.with({ delay: "1h" }).kiq({ n: 1 });
  const waiting = assert.rejects(run.result({ timeout: "20s" }), { code: "run_cancelled" });
  await delay(200);
  await redis.kill();
  await redis.restart();
  await run.cancel("enough");
  await waiting;
  await broker.close();
});
