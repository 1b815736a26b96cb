import { foldShare, type Refusal, shareOf } from "../../projections/batch.ts";
import type { AnyProjection, AnyRow } from "../../projections/projection.ts";
import type { LedgerEvent } from "../../streams/events.ts";

/** The rows after batches of some sizes, taken in turn: what a projector that was given them would have written. */
export function foldInBatches(
  projection: AnyProjection,
  events: readonly LedgerEvent[],
  sizes: readonly number[] = [events.length || 1],
) {
  const rows = new Map<string, AnyRow>();
  const refusals: Refusal[] = [];
  const parked = new Set<string>();
  for (let at = 0, turn = 0; at < events.length; turn += 1) {
    const size = Math.max(1, sizes[turn % sizes.length] ?? 1);
    // Rows go through JSON between batches, as they go through Postgres: nothing that only lives in memory may matter.
    const before = new Map([...rows].map(([key, row]) => [key, JSON.parse(JSON.stringify(row)) as AnyRow]));
    const folded = foldShare(shareOf(projection, events.slice(at, at + size), parked), before);
    for (const [key, { row }] of folded.rows) rows.set(key, row);
    for (const refusal of folded.refusals) {
      refusals.push(refusal);
      parked.add(refusal.key);
    }
    at += size;
  }
  return { rows, refusals };
}
