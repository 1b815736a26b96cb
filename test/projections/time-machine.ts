import type { Lane } from "../../streams/lane.ts";

/** A lane's keys as they were at an instant, as a replica may have them when its primary dies. */
export interface Snapshot {
  /** Puts them back, and takes away what has come since. */
  restore(): Promise<void>;
}

/** Takes down everything that a lane has in Redis. All keys of a lane begin with its tag; those of `calls` and idempotency keys are found by a scan. */
export async function snapshot({ redis, keys }: Pick<Lane, "redis" | "keys">): Promise<Snapshot> {
  const kept = new Map<string, { readonly dump: Buffer; readonly ttl: number }>();
  for (const key of await keysOf(redis, keys.tag)) {
    const dump = await redis.dumpBuffer(key);
    if (dump !== null) kept.set(key, { dump, ttl: Math.max(0, await redis.pttl(key)) });
  }
  return {
    async restore() {
      const now = await keysOf(redis, keys.tag);
      const writes = redis.multi();
      if (now.length > 0) writes.del(...now);
      for (const [key, { dump, ttl }] of kept) writes.restore(key, ttl, dump);
      await writes.exec(); // at once, as a failover is
    },
  };
}

async function keysOf(redis: Lane["redis"], tag: string): Promise<string[]> {
  const found = new Set<string>();
  const match = `${tag.replaceAll(/[[\]*?\\]/g, "\\$&")}:*`;
  for await (const page of redis.scanStream({ match, count: 1_000 }))
    for (const key of page as string[]) found.add(key);
  return [...found];
}
