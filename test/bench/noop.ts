// `node test/bench/noop.ts [--runs 100000] [--concurrency 100] [--async]`: how many no-op runs one worker does in a second.
// The backlog is filled by a process of its own, so that what it leaves behind in memory is not the worker's.
import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { Redis } from "ioredis";
import { createBroker } from "../../src/broker.ts";
import { startRedis } from "../../src/dev/start-redis.ts";
import { createWorker } from "../../src/worker.ts";
import { laneKeys } from "../../streams/keys.ts";

const { values } = parseArgs({
  options: {
    runs: { type: "string", default: "100000" },
    concurrency: { type: "string", default: "100" },
    async: { type: "boolean", default: false },
    fill: { type: "string" },
  },
});
const runCount = Number(values.runs);
const quiet = { debug() {}, info() {}, warn: console.warn, error: console.error, child: () => quiet };

if (values.fill !== undefined) await fill(values.fill);
else await measure();

function openBroker(url: string) {
  const broker = createBroker({ redis: url, namespace: "bench", logger: quiet });
  const told = { done: 0, firstAt: 0, all: Promise.withResolvers<void>() };
  const count = () => {
    if (told.done === 0) told.firstAt = performance.now();
    told.done += 1;
    if (told.done === runCount) told.all.resolve();
  };
  const noop = broker.task({ name: "noop", run: (values.async ? async () => count() : count) as () => void });
  return { broker, noop, told };
}

async function fill(url: string): Promise<void> {
  const { broker, noop } = openBroker(url);
  for (let sent = 0; sent < runCount; sent += 5_000) {
    await noop.kiqMany(Array.from({ length: Math.min(5_000, runCount - sent) }));
  }
  await broker.close();
}

async function measure(): Promise<void> {
  await using server = await startRedis();
  const filling = fork(fileURLToPath(import.meta.url), ["--fill", server.url, "--runs", values.runs]);
  await once(filling, "exit");
  const redis = new Redis(server.url);
  const { broker, told } = openBroker(server.url);
  const worker = createWorker(broker, { concurrency: Number(values.concurrency) });
  const before = await redisMicros(redis);
  const cpu = process.cpuUsage();
  void worker.run();
  await told.all.promise;
  while ((await redis.xlen(laneKeys("bench", "default").tasks)) > 0)
    await new Promise((resolve) => setTimeout(resolve, 1));
  const tookMs = performance.now() - told.firstAt;
  const { user, system } = process.cpuUsage(cpu);
  const perRun = (micros: number) => Math.round((micros / runCount) * 10) / 10;
  console.log({
    runs: runCount,
    concurrency: Number(values.concurrency),
    runsPerSecond: Math.round((runCount / tookMs) * 1_000),
    nodeMicrosPerRun: perRun(user + system),
    redisMicrosPerRun: perRun((await redisMicros(redis)) - before),
    rssMiB: Math.round(process.memoryUsage.rss() / 1_048_576),
  });
  await worker.stop();
  await broker.close();
  redis.disconnect();
}

async function redisMicros(redis: Redis): Promise<number> {
  const info = await redis.info("cpu");
  const seconds = [...info.matchAll(/^used_cpu_(?:user|sys):([\d.]+)/gm)].map((match) => Number(match[1]));
  return seconds.reduce((sum, one) => sum + one, 0) * 1e6;
}
