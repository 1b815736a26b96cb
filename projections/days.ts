import type { DatabasePool } from "slonik";
import { ensurePartitions, PARTITION_MS } from "../sql/queries/partitions.ts";
import type { ProjectorNotice } from "./lane-deps.ts";

const DAYS_AHEAD = 7;
const DAYS_BACK = 400;
const LOOK_EVERY_MS = 3_600_000;

/** Keeps the archive's partitions in step with the days of its entries. Without them, entries go to the default partition. */
export interface Days {
  /** Makes those of today and the week ahead; once an hour, whenever it is called. Never rejects. */
  prepareAhead(nowMs: number): Promise<void>;
  /** Makes those of the entries between two instants. Never rejects. */
  prepare(fromMs: number, untilMs: number): Promise<void>;
}

/** Remembers which days it has seen to, so that a day costs one look. */
export function createDays(pool: DatabasePool, announce: (notice: ProjectorNotice) => void): Days {
  const seen = new Set<number>();
  let lookedAt = Number.NEGATIVE_INFINITY;
  const make = async (from: number, until: number, today: number) => {
    for (let day = Math.max(from, today - DAYS_BACK); day <= Math.min(until, today + DAYS_AHEAD); day += 1) {
      if (seen.has(day)) continue;
      seen.add(day);
      try {
        await ensurePartitions(pool, [day]);
      } catch (error) {
        announce({
          kind: "problem",
          what: "the archive lacks a partition; its default one takes the entries meanwhile",
          error,
        });
      }
    }
  };
  const dayOf = (ms: number) => Math.floor(ms / PARTITION_MS);
  return {
    prepare: (fromMs, untilMs) => make(dayOf(fromMs), dayOf(untilMs), dayOf(untilMs)),
    async prepareAhead(nowMs) {
      if (nowMs - lookedAt < LOOK_EVERY_MS) return;
      lookedAt = nowMs;
      seen.clear();
      await make(dayOf(nowMs), dayOf(nowMs) + DAYS_AHEAD, dayOf(nowMs));
    },
  };
}
