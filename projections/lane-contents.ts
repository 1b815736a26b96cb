import { toEntry } from "../streams/entry.ts";
import type { EventType } from "../streams/events.ts";
import { decodeEntry, type LedgerEntry, readEntries } from "../streams/ledger.ts";
import type { StaleEntry } from "../streams/repair.ts";
import { LEGAL } from "../streams/run.ts";
import { answered, type LaneReader, type Redis } from "./read.ts";

/** An entry that lies in a lane. */
export type LyingEntry = Pick<StaleEntry, "where" | "id" | "run">;

const PAGE = 64; // of the largest entries, sixteen megabytes
const SCAN = 500;

/**
 * Every entry that lies in a lane, a page at a time. What moves meanwhile may be passed over, or come twice; but what moves leaves an
 * event, by which it is found all the same.
 */
export async function* readLying({ redis, keys }: LaneReader): AsyncGenerator<LyingEntry[]> {
  for (const where of ["tasks", "again"] as const) {
    for (let from = "-"; ; ) {
      const page = (await answered(redis, redis.xrange(keys[where], from, "+", "COUNT", PAGE))) as [string, string[]][];
      yield page.map(([id, fields]) => ({ where, id, run: toEntry(fields).run }));
      const last = page.at(-1);
      if (last === undefined || page.length < PAGE) break;
      from = `(${last[0]}`;
    }
  }
  yield* readScheduled(redis, keys.scheduled);
}

async function* readScheduled(redis: Redis, key: string): AsyncGenerator<LyingEntry[]> {
  let cursor = "0";
  do {
    const [next, pairs] = await answered(redis, redis.zscan(key, cursor, "COUNT", SCAN));
    yield pairs.filter((_, index) => index % 2 === 0).map((run) => ({ where: "scheduled", id: "", run }) as const);
    cursor = next;
  } while (cursor !== "0");
}

/** The runs that a stretch of a lane's ledger has moved. */
export interface MovedRuns {
  has(run: string): boolean;
  /** Reads on, to the ledger's end as it is now. */
  catchUp(): Promise<void>;
}

/** Gathers them from an entry on, that one not included; `0-0`: from the beginning. */
export function createMovedRuns({ redis, keys }: LaneReader, after: string): MovedRuns {
  const moved = new Set<string>();
  let last = after;
  return {
    has: (run) => moved.has(run),
    async catchUp() {
      for (;;) {
        const entries: LedgerEntry[] = await answered(redis, readEntries(redis, keys, { from: `(${last}`, count: 16 }));
        for (const entry of entries)
          for (const event of decodeEntry(entry, { queue: "", incarnation: "" })) {
            const { run } = event as { run?: unknown };
            if (typeof run === "string" && LEGAL[event.type as EventType] !== undefined) moved.add(run);
          }
        const end = entries.at(-1);
        if (end === undefined) return;
        last = end.id;
      }
    },
  };
}
