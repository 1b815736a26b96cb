import { Redis } from "ioredis";
import { createBroker, createWorker, type LoggerLike } from "tasktrail";
import { z } from "zod";
import { laneKeys } from "../../streams/keys.ts";
import { type Contender, type Order, payload } from "./contender.ts";

const NAMESPACE = "bench";
const quiet: LoggerLike = { debug() {}, info() {}, warn: console.warn, error: console.error, child: () => quiet };

/** Tasktrail with the full ledger on, and inputs checked at both ends. */
export const tasktrail: Contender = {
  name: "Tasktrail",
  async enqueue(url, { count, inFlight, bytes }) {
    const { broker, noop } = open(url);
    let left = count;
    const one = async () => {
      while (left > 0) {
        left -= 1;
        await noop.kiq(payload(bytes));
      }
    };
    await Promise.all(Array.from({ length: inFlight }, one));
    await broker.close();
  },
  enqueueBulk: async (url, order) => {
    const { broker, noop } = open(url);
    await bulk(noop, order);
    await broker.close();
  },
  async work(url, { concurrency, ...order }) {
    await this.enqueueBulk(url, order);
    const all = Promise.withResolvers<number>();
    let done = 0;
    let firstAt = 0;
    const { broker } = open(url, () => {
      if (firstAt === 0) firstAt = performance.now();
      done += 1;
      if (done === order.count) all.resolve(firstAt);
    });
    const worker = createWorker(broker, { concurrency });
    const working = worker.run();
    const begun = await all.promise;
    await settled(url);
    const tookMs = performance.now() - begun;
    await worker.stop();
    await working;
    await broker.close();
    return tookMs;
  },
};

function open(url: string, onRun: () => void = () => {}) {
  const broker = createBroker({ redis: url, namespace: NAMESPACE, logger: quiet });
  const noop = broker.task({
    name: "noop",
    input: z.object({ text: z.string() }),
    async run() {
      onRun();
    },
  });
  return { broker, noop };
}

async function bulk(noop: ReturnType<typeof open>["noop"], { count, bytes }: Order): Promise<void> {
  for (let sent = 0; sent < count; sent += 1_000) {
    await noop.kiqMany(Array.from({ length: Math.min(1_000, count - sent) }, () => payload(bytes)));
  }
}

/** Resolves when no entry is left: the last handler has returned before its end is recorded. */
async function settled(url: string): Promise<void> {
  const redis = new Redis(url, { protocol: 2 });
  while ((await redis.xlen(laneKeys(NAMESPACE, "default").tasks)) > 0)
    await new Promise((resolve) => setTimeout(resolve, 1));
  redis.disconnect();
}
