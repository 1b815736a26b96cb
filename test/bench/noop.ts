// `node --import tsx test/bench/noop.ts [--runs 50000] [--concurrency 100] [--async]`: how many no-op runs a worker does in a second.
import { parseArgs } from "node:util";
import { Redis } from "ioredis";
import { createBroker } from "../../src/broker.ts";
import { startRedis } from "../../src/dev/start-redis.ts";
import { createWorker } from "../../src/worker.ts";
import { laneKeys } from "../../streams/keys.ts";

const { values } = parseArgs({
  options: {
    runs: { type: "string", default: "50000" },
    concurrency: { type: "string", default: "100" },
    async: { type: "boolean", default: false },
  },
});
const runCount = Number(values.runs);
await using server = await startRedis();
const broker = createBroker({ redis: server.url, namespace: "bench" });
const started = Promise.withResolvers<void>();
let done = 0;
let firstAt = 0;
const count = () => {
  if (done === 0) firstAt = performance.now();
  done += 1;
  if (done === runCount) started.resolve();
};
const task = broker.task({ name: "noop", run: values.async ? async () => count() : () => count() } as never);
const enqueuedAt = performance.now();
for (let sent = 0; sent < runCount; sent += 5_000) {
  await (task as { kiqMany(inputs: unknown[]): Promise<unknown> }).kiqMany(
    Array.from({ length: Math.min(5_000, runCount - sent) }),
  );
}
const enqueueMs = performance.now() - enqueuedAt;
await using worker = createWorker(broker, { concurrency: Number(values.concurrency) });
const cpu = process.cpuUsage();
const running = worker.run();
running.catch((error) => started.reject(error));
await started.promise;
const redis = new Redis(server.url);
while ((await redis.xlen(laneKeys("bench", "default").tasks)) > 0)
  await new Promise((resolve) => setTimeout(resolve, 1));
const took = performance.now() - firstAt;
const used = process.cpuUsage(cpu);
console.log({
  runs: runCount,
  concurrency: Number(values.concurrency),
  enqueuePerSecond: Math.round((runCount / enqueueMs) * 1000),
  runsPerSecond: Math.round((runCount / took) * 1000),
  nodeMicrosPerRun: Math.round(((used.user + used.system) / runCount) * 10) / 10,
  redisUsedMemory: /used_memory:(\d+)/.exec(await redis.info("memory"))?.[1],
});
redis.disconnect();
await worker.stop();
await broker.close();
