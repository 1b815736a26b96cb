import type { Redis } from "ioredis";
import { ready } from "../../streams/connect.ts";
import { bellKey } from "../../streams/keys.ts";
import { pause } from "../../streams/lane.ts";

const BLOCK_MS = 5_000;

/** Rings a bell whenever a transaction has committed somewhere, until aborted. On a connection of its own. What it misses, the next look finds. */
export async function hearBell(redis: Redis, namespace: string, ring: () => void, signal: AbortSignal): Promise<void> {
  const disconnect = () => redis.disconnect(false);
  signal.addEventListener("abort", disconnect, { once: true });
  const key = bellKey(namespace);
  let last = "$";
  while (!signal.aborted) {
    if (!(await ready(redis, 2_000, signal))) continue;
    try {
      const heard = (await redis.xread("COUNT", 1, "BLOCK", BLOCK_MS, "STREAMS", key, last)) as
        | [string, [string][]][]
        | null;
      if (heard === null) continue;
      last = heard[0]?.[1].at(-1)?.[0] ?? last;
      ring();
    } catch {
      last = "$"; // an emptied Redis may count from the beginning again
      await pause(200, signal);
    }
  }
  signal.removeEventListener("abort", disconnect);
}
