import { Redis } from "ioredis";
import { type Contender, payload } from "./contender.ts";

/** The ceiling: the same commands without an engine around them. One XADD a run, pipelined; XREADGROUP, XACK and XDEL in batches. No history, no script, no check. */
export const raw: Contender = {
  name: "raw commands",
  async enqueue(url, { count, inFlight, bytes }) {
    await withRedis(url, async (redis) => {
      const body = JSON.stringify(payload(bytes));
      for (let sent = 0; sent < count; sent += inFlight) {
        await Promise.all(
          Array.from({ length: Math.min(inFlight, count - sent) }, () => redis.xadd("raw", "*", "body", body)),
        );
      }
    });
  },
  enqueueBulk: (url, order) => raw.enqueue(url, { ...order, inFlight: 1_000 }),
  async work(url, order) {
    await raw.enqueueBulk(url, order);
    return withRedis(url, async (redis) => {
      await redis.xgroup("CREATE", "raw", "g", "0");
      const begun = performance.now();
      for (let done = 0; done < order.count; ) {
        const reply = (await redis.xreadgroup(
          "GROUP",
          "g",
          "c",
          "COUNT",
          order.concurrency,
          "STREAMS",
          "raw",
          ">",
        )) as [string, [string, string[]][]][];
        const ids = reply[0]?.[1].map(([id]) => id) ?? [];
        await Promise.all([redis.xack("raw", "g", ...ids), redis.xdel("raw", ...ids)]);
        done += ids.length;
      }
      return performance.now() - begun;
    });
  },
};

async function withRedis<T>(url: string, use: (redis: Redis) => Promise<T>): Promise<T> {
  const redis = new Redis(url, { protocol: 2 });
  try {
    return await use(redis);
  } finally {
    redis.disconnect();
  }
}
