import type { Redis } from "ioredis";
import { ready } from "../streams/connect.ts";
import { pause } from "../streams/lane.ts";

/** How long one read waits, in ms. */
const BLOCK_MS = 5_000;

/** What is listened to. */
export interface Hearing {
  /** Streams; something was added to one of them. */
  readonly keys: readonly string[];
  /** Called then. While its promise is pending, what is added meanwhile is gathered. */
  readonly ring: () => void | Promise<void>;
  /**
   * `$`: what is added from now on. `0`: what is there already, too, whenever the connection is made: for a stream of one entry, so that
   * nothing is missed in between. Default `$`.
   */
  readonly from?: "$" | "0";
}

/** Rings whenever something is added to one of the streams, until aborted. On a connection of its own. What it misses, the next look finds. */
export async function hearBell(redis: Redis, { keys, ring, from = "$" }: Hearing, signal: AbortSignal): Promise<void> {
  const disconnect = () => redis.disconnect(false);
  signal.addEventListener("abort", disconnect, { once: true });
  const last = new Map<string, string>(keys.map((key) => [key, from]));
  while (!signal.aborted) {
    if (!(await ready(redis, 2_000, signal))) continue;
    try {
      const streams = [...last.keys(), ...last.values()];
      const heard = (await redis.xread("COUNT", 1, "BLOCK", BLOCK_MS, "STREAMS", ...streams)) as
        | [string, [string][]][]
        | null;
      for (const [key, entries] of heard ?? []) last.set(key, entries.at(-1)?.[0] ?? from);
      if (heard !== null) await ring();
    } catch {
      for (const key of keys) last.set(key, from); // an emptied Redis may count from the beginning again
      await pause(200, signal);
    }
  }
  signal.removeEventListener("abort", disconnect);
}
