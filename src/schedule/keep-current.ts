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
/** How long before each minute it is read, in ms, and by how much schedulers differ in it: a schedule that was made by then fires its first slot on time. */
const LEAD_MS = { least: 1_000, spread: 500 };
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
  /** Redis' clock, in ms. */
  readonly redisNow: () => number;
}

/** How current this process is. */
export interface Current {
  /** False before the first refresh, and after the machine slept or its clock was set: then nothing may be fired by the clock as it was corrected before. */
  isKnown(): boolean;
  /** Since the last refresh, in ms. */
  ageMs(): number;
  /** Refreshes every twenty seconds, and shortly before each minute, until aborted; at once when the bell is rung. */
  keep(signal: AbortSignal): Promise<void>;
}

/** Keeps this process current with what Redis keeps, and with its clock. */
export function createCurrent({ clock, redis, refresh, failed, bell, redisNow }: CurrentDeps): Current {
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
        await bell.sleep(untilNextMs(redisNow(), Math.random()), signal);
      }
    },
  };
}

/** Until the next refresh, in ms: every twenty seconds, and shortly before each minute, which is when slots come. Not all schedulers at the same moment. */
function untilNextMs(nowMs: number, chance: number): number {
  const regular = REFRESH_MS * (0.9 + chance * 0.2);
  const beforeMinute = MINUTE_MS - (nowMs % MINUTE_MS) - LEAD_MS.least - chance * LEAD_MS.spread;
  return beforeMinute > 0 ? Math.min(regular, beforeMinute) : regular;
}

const MINUTE_MS = 60_000;
