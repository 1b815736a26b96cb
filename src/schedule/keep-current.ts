import type { Redis } from "ioredis";
import { reconnectDelayMs, replaceLink } from "../../streams/connect.ts";
import { pause } from "../../streams/lane.ts";
import type { Bell } from "../bell.ts";
import type { Clock } from "../clock.ts";
import { DECLARED_FOR_MS } from "./reconcile.ts";

/** How often it is read anew how schedules stand, in ms. */
export const REFRESH_MS = DECLARED_FOR_MS / 3;
/** After so long without an answer the connection is taken for dead, in ms. */
const SILENCE_MS = 10_000;
/** By how much wall clock and monotonic clock may part before the machine was asleep, or its clock was set, in ms. */
const JUMP_MS = 50;

/** What a refreshing loop works with. */
export interface CurrentDeps {
  readonly clock: Clock;
  readonly redis: Redis;
  /** Reads what Redis keeps, and its time. */
  readonly refresh: () => Promise<void>;
  /** Told when a refresh has failed. It is tried again in any case. */
  readonly failed: (error: unknown) => void;
  /** Rung for a refresh out of turn. */
  readonly bell: Bell;
}

/** How current this process is. */
export interface Current {
  /** False before the first refresh, and after the machine slept or its clock was set: then nothing may be fired by the clock as it was corrected before. */
  isKnown(): boolean;
  /** Since the last refresh, in ms. */
  ageMs(): number;
  /** Refreshes every twenty seconds until aborted; at once when the bell is rung. */
  keep(signal: AbortSignal): Promise<void>;
}

/** Keeps this process current with what Redis keeps, and with its clock. */
export function createCurrent({ clock, redis, refresh, failed, bell }: CurrentDeps): Current {
  const apart = () => clock.now() - clock.elapsed();
  const startedAt = clock.elapsed();
  let refreshedAt: number | undefined;
  let apartThen = apart();
  const refreshInTime = async () => {
    const before = apart();
    const timer = setTimeout(() => replaceLink(redis), SILENCE_MS);
    try {
      await refresh();
    } finally {
      clearTimeout(timer);
    }
    apartThen = before;
    refreshedAt = clock.elapsed();
  };
  return {
    isKnown: () => refreshedAt !== undefined && Math.abs(apart() - apartThen) < JUMP_MS,
    ageMs: () => clock.elapsed() - (refreshedAt ?? startedAt),
    async keep(signal) {
      for (let failures = 0; !signal.aborted; ) {
        try {
          await refreshInTime();
          failures = 0;
        } catch (error) {
          failures += 1;
          failed(error);
          await pause(reconnectDelayMs(failures), signal);
          continue;
        }
        // Not all schedulers at the same moment.
        await bell.sleep(REFRESH_MS * (0.9 + Math.random() * 0.2), signal);
      }
    },
  };
}
