import { Redis } from "ioredis";
import { fill } from "../backlog.ts";
import type { Bench } from "../bench.ts";
import { contenderNamed, queues } from "../contenders/all.ts";
import type { PayloadKind } from "../payload.ts";
import { readCosts } from "../redis-costs.ts";

/** What a run costs Redis while it waits, its history included. It comes out the same each time, so once is enough. */
export const memoryBenches: readonly Bench[] = [
  waiting("memory-100b", "small", "memory per waiting run, with an input of 86 bytes"),
  waiting("memory-10k", "order", "memory per waiting run, with 10 KB of JSON: an order of 35 lines"),
  waiting("memory-10k-random", "random", "memory per waiting run, with 10 KB that nothing can make smaller"),
];

function waiting(name: string, payload: PayloadKind, what: string): Bench {
  return {
    name,
    what,
    contenders: queues,
    rounds: 1,
    figures: [{ name: "memory", unit: "bytes", better: "lower" }],
    steps: {
      async fill({ setting, part }) {
        await using client = await contenderNamed(setting.contender).open(setting.redis, { payload });
        await fill(client, { count: Number(part.count), payload });
        return {};
      },
    },
    async play(setting, start) {
      const redis = new Redis(setting.redis, { protocol: 2 });
      await start("fill", { count: 1 }).figures; // scripts and keys that are there once
      const before = await readCosts(redis);
      const count = Math.ceil((payload === "small" ? 20_000 : 4_000) * setting.scale);
      await start("fill", { count }).figures;
      const after = await readCosts(redis);
      redis.disconnect();
      return { memory: (after.usedBytes - before.usedBytes) / count };
    },
  };
}
