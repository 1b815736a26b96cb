import { Queue, Worker } from "bullmq";
import { type Contender, type Order, payload } from "./contender.ts";

/** BullMQ as its manual shows it, but for finished jobs, which it is told to remove: that is when it is fastest. */
export const bullmq: Contender = {
  name: "BullMQ",
  enqueue: (url, order) => withQueue(url, async (queue) => add(queue, order)),
  enqueueBulk: (url, order) =>
    withQueue(url, async (queue) => {
      for (let sent = 0; sent < order.count; sent += 1_000) {
        const size = Math.min(1_000, order.count - sent);
        await queue.addBulk(
          Array.from({ length: size }, () => ({
            name: "noop",
            data: payload(order.bytes),
            opts: { removeOnComplete: true },
          })),
        );
      }
    }),
  async work(url, { concurrency, ...order }) {
    await this.enqueueBulk(url, order);
    let done = 0;
    let firstAt = 0;
    const all = Promise.withResolvers<number>();
    const worker = new Worker(
      "bench",
      async () => {
        if (firstAt === 0) firstAt = performance.now();
      },
      { connection: connectionTo(url), concurrency },
    );
    worker.on("completed", () => {
      done += 1;
      if (done === order.count) all.resolve(performance.now() - firstAt);
    });
    const tookMs = await all.promise;
    await worker.close();
    return tookMs;
  },
};

async function add(queue: Queue, { count, inFlight, bytes }: Order): Promise<void> {
  let left = count;
  const one = async () => {
    while (left > 0) {
      left -= 1;
      await queue.add("noop", payload(bytes), { removeOnComplete: true });
    }
  };
  await Promise.all(Array.from({ length: inFlight }, one));
}

async function withQueue(url: string, use: (queue: Queue) => Promise<void>): Promise<void> {
  const queue = new Queue("bench", { connection: connectionTo(url) });
  await queue.waitUntilReady();
  try {
    await use(queue);
  } finally {
    await queue.close();
  }
}

function connectionTo(url: string) {
  const { hostname, port, password } = new URL(url);
  return { host: hostname, port: Number(port), password, maxRetriesPerRequest: null };
}
