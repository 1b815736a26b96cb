import type { Redis } from "ioredis";
import { ready } from "../../streams/connect.ts";
import { pause } from "../../streams/lane.ts";

const BLOCK_MS = 5_000;

/** Rings whenever something is added to one of the streams, until aborted. On a connection of its own. What it misses, the next look finds. */
export async function hearBell(
  redis: Redis,
  keys: readonly string[],
  ring: () => void,
  signal: AbortSignal,
): Promise<void> {
  const disconnect = () => redis.disconnect(false);
  signal.addEventListener("abort", disconnect, { once: true });
  const last = new Map(keys.map((key) => [key, "$"]));
  while (!signal.aborted) {
    if (!(await ready(redis, 2_000, signal))) continue;
    try {
      const streams = [...last.keys(), ...last.values()];
      const heard = (await redis.xread("COUNT", 1, "BLOCK", BLOCK_MS, "STREAMS", ...streams)) as
        | [string, [string][]][]
        | null;
      for (const [key, entries] of heard ?? []) last.set(key, entries.at(-1)?.[0] ?? "$");
      if (heard !== null) ring();
    } catch {
      for (const key of keys) last.set(key, "$"); // an emptied Redis may count from the beginning again
      await pause(200, signal);
    }
  }
  signal.removeEventListener("abort", disconnect);
}
