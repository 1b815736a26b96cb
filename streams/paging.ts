import type { LedgerEntry } from "./ledger.ts";

/** How much is read at once, about. */
const PAGE_BYTES = 1_048_576;
const MOST_ENTRIES = 1_000;
/** With which a reader begins that knows nothing of its entries yet: of the largest, four megabytes. */
export const FIRST_COUNT = 16;

/** As many entries as the next page may have, by the size of those in this one. */
export function nextCount(entryCount: number, bytes: number): number {
  return Math.min(MOST_ENTRIES, Math.max(4, Math.floor((PAGE_BYTES * entryCount) / (bytes + 1))));
}

/** The bytes of a page, about. */
export function sizeOf(page: readonly Pick<LedgerEntry, "events">[]): number {
  return page.reduce((sum, { events }) => sum + events.length, 0);
}
