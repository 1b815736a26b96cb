import type { Redis } from "ioredis";
import { ready, refusal } from "../../streams/connect.ts";
import type { LedgerEvent, UnknownEvent } from "../../streams/events.ts";
import { laneKeys } from "../../streams/keys.ts";
import { decodeEntry, type LedgerEntry, splitId, toLedgerEntry, waitForEntries } from "../../streams/ledger.ts";
import { unpackInputs } from "../../streams/packed.ts";

/** An event that was read. */
export type ReadEvent = LedgerEvent | UnknownEvent;

/** Which events are wanted. */
export interface Wanted {
  /** True for an event that is asked for. */
  accept(event: ReadEvent): boolean;
  /** None before this instant, in ms. */
  readonly since?: number | undefined;
}

/** A lane's ledger, as far as Redis still has it. */
export interface LedgerTail {
  readonly queue: string;
  /** The last `limit` events that are wanted, oldest first, and the id of the last entry that was there. */
  latest(
    redis: Redis,
    wanted: Wanted,
    limit: number,
  ): Promise<{ readonly events: ReadEvent[]; readonly lastId: string }>;
  /** Hands over wanted events after an entry, as they come, until the signal is aborted. On a connection of its own: it blocks. */
  follow(blocking: Redis, wanted: Wanted, from: FollowFrom): Promise<void>;
}

/** Where following starts, and who is told. */
export interface FollowFrom {
  readonly lastId: string;
  readonly signal: AbortSignal;
  onEvents(events: readonly ReadEvent[]): void;
}

/** Entries that are fetched at once: each may hold 256 KiB. */
const PAGE = 16;
/** A wait is finite so that the end of following is noticed on a silent lane. */
const BLOCK_MS = 5_000;

/** Opens the ledger's tail of a queue: no command is sent. */
export function ledgerTail(namespace: string, queue: string, incarnation = ""): LedgerTail {
  const keys = laneKeys(namespace, queue);
  const read = (entry: LedgerEntry, wanted: Wanted) =>
    decodeEntry(entry, { queue, incarnation }).filter(
      (event) => event.at >= (wanted.since ?? 0) && wanted.accept(event),
    );
  return {
    queue,
    async latest(redis, wanted, limit) {
      const pages: ReadEvent[][] = [];
      let found = 0;
      let lastId = "0-0";
      for await (const entry of backwards(redis, keys.events)) {
        if (lastId === "0-0") lastId = entry.id;
        if (splitId(entry.id)[0] < (wanted.since ?? 0)) break;
        const events = read(entry, wanted);
        pages.push(events);
        found += events.length;
        if (found >= limit) break;
      }
      return { events: pages.reverse().flat().slice(-limit), lastId };
    },
    async follow(blocking, wanted, { lastId, signal, onEvents }) {
      signal.addEventListener("abort", () => blocking.disconnect(), { once: true });
      for (let id = lastId; !signal.aborted; ) {
        const entries = await waitForEntries(blocking, keys, { id, count: PAGE, blockMs: BLOCK_MS }).catch(
          async (error: unknown) => {
            if (!signal.aborted && refusal(error) !== "away") throw error;
            await ready(blocking, BLOCK_MS, signal); // Redis restarts, and what it recorded is there when it is back
            return [];
          },
        );
        id = entries.at(-1)?.id ?? id;
        const events = entries.flatMap((entry) => read(entry, wanted));
        if (events.length > 0) onEvents(events);
      }
    },
  };
}

async function* backwards(redis: Redis, key: string): AsyncGenerator<LedgerEntry> {
  for (let end = "+"; ; ) {
    const page = (await redis.xrevrange(key, end, "-", "COUNT", PAGE)) as [string, string[]][];
    for (const entry of page) yield unpackInputs(toLedgerEntry(entry));
    const last = page.at(-1);
    if (last === undefined || page.length < PAGE) return;
    end = `(${last[0]}`;
  }
}
