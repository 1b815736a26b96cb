import type { LedgerEvent, UnknownEvent } from "../../streams/events.ts";
import { runIdTime } from "../../streams/ids.ts";
import type { LaneKeys } from "../../streams/keys.ts";
import { decodeEntry, isLedgerEvent, type LedgerEntry, type Place, readEntries } from "../../streams/ledger.ts";
import { FIRST_COUNT, nextCount, sizeOf } from "../../streams/paging.ts";
import type { Ask } from "./ask.ts";

/** Ids are made by Redis' clock as it is known here: a run's first event may seem to be a little older than its id. */
export const CLOCK_MARGIN_MS = 250;
/** Runs of which it is cheaper to look for their ids in the text than to decode it. */
const FEW = 8;

/** Where to begin to look for what the ledger's tail has of a run. Ids of cron runs tell no time: at its beginning. */
export function startOf(run: string): string {
  const time = runIdTime(run);
  return time === undefined ? "-" : String(Math.max(0, time - CLOCK_MARGIN_MS));
}

/** The tail's entries from an id on, that one included, to its end as it is when that is reached; a page at a time. */
export async function* readTail(ask: Ask, keys: LaneKeys, from: string): AsyncGenerator<readonly LedgerEntry[]> {
  let count = FIRST_COUNT;
  for (let next = from; ; ) {
    const page = await ask((redis) => readEntries(redis, keys, { from: next, count }));
    if (page.length > 0) yield page;
    if (page.length < count) return;
    next = `(${(page.at(-1) as LedgerEntry).id}`;
    count = nextCount(page.length, sizeOf(page));
  }
}

/** Runs by their ids. */
export interface Wanted {
  readonly size: number;
  has(run: string): boolean;
  keys(): Iterable<string>;
}

/** The events of some runs in a page, in order. What does not even hold their ids is not decoded. */
export function* eventsOf(wanted: Wanted, page: readonly LedgerEntry[], place: Place): Generator<LedgerEvent> {
  for (const entry of page) {
    if (wanted.size === 0) return;
    if (wanted.size <= FEW && ![...wanted.keys()].some((run) => entry.events.includes(run))) continue;
    for (const event of decodeEntry(entry, place)) {
      if (wanted.has(runOf(event) ?? "") && isLedgerEvent(event)) yield event;
    }
  }
}

/** The run that an event is about. */
export function runOf(event: LedgerEvent | UnknownEvent): string | undefined {
  return (event as { readonly run?: string }).run;
}
