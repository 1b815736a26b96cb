import type { ArchivedEntry } from "../sql/queries/archive.ts";
import type { Checkpoint, CheckpointMove } from "../sql/queries/checkpoints.ts";
import type { LedgerEvent } from "../streams/events.ts";
import { batchToken, decodeEntry, isLedgerEvent, type LedgerEntry, splitId } from "../streams/ledger.ts";
import { parseLane, toArchived } from "./archive.ts";
import { type AnyProjection, type AnyRow, HistoryViolation } from "./projection.ts";

/** Some entries of a lane, ready to be archived and folded. */
export interface Batch {
  readonly archived: readonly ArchivedEntry[];
  /** The events of types that this version knows, in order. */
  readonly events: readonly LedgerEvent[];
  /** Where the checkpoint goes with it. */
  readonly to: CheckpointMove;
}

/** A batch of at least one entry, which follow the checkpoint. */
export function toBatch(
  entries: readonly LedgerEntry[],
  { lane, incarnation }: Pick<Checkpoint, "lane" | "incarnation">,
): Batch {
  const place = { queue: parseLane(lane).queue, incarnation };
  const archived: ArchivedEntry[] = [];
  const events: LedgerEvent[] = [];
  let seen = 0;
  for (const entry of entries) {
    const decoded = decodeEntry(entry, place);
    archived.push(toArchived(entry, { lane, incarnation }, decoded));
    seen += decoded.length;
    for (const event of decoded) if (isLedgerEvent(event)) events.push(event);
  }
  const last = entries.at(-1) as LedgerEntry;
  const [ms, seq] = splitId(last.id);
  const counts = { entries: entries.length, events: seen, unknown: seen - events.length };
  return { archived, events, to: { ms, seq, token: batchToken(last.header), ...counts } };
}

/** A key that a fold, or the database, could not take, with the event that it was at. */
export interface Refusal {
  readonly projection: string;
  readonly key: string;
  readonly event: LedgerEvent;
  readonly error: unknown;
}

/** One projection's part of a batch: the events that it takes, with their keys. */
export interface Share {
  readonly projection: AnyProjection;
  readonly steps: readonly { readonly key: string; readonly event: LedgerEvent }[];
  /** Events without a usable key. */
  readonly refusals: readonly Refusal[];
}

/** Deals a batch's events out to a projection, leaving out those of parked keys. Pure. */
export function shareOf(projection: AnyProjection, events: readonly LedgerEvent[], parked: ReadonlySet<string>): Share {
  const steps: { key: string; event: LedgerEvent }[] = [];
  const refusals: Refusal[] = [];
  for (const event of events) {
    try {
      const key = projection.key(event);
      if (key === undefined || parked.has(key)) continue;
      if (key.includes("\0") || !key.isWellFormed()) throw new TypeError("the key holds what Postgres cannot store");
      steps.push({ key, event });
    } catch (error) {
      // Without a key nothing else can depend on it: the event is set aside alone, under its position.
      refusals.push({ projection: projection.name, key: event.position ?? "unknown", event, error });
    }
  }
  return { projection, steps, refusals };
}

/** What a share comes to. */
export interface Folded {
  readonly projection: AnyProjection;
  /** The rows that the batch has changed, each with the first event that did: where a refold would have to begin. */
  readonly rows: ReadonlyMap<string, { readonly row: AnyRow; readonly event: LedgerEvent }>;
  readonly refusals: readonly Refusal[];
}

/**
 * Folds a share onto the rows that its keys have now. Pure: what it is given is not changed. A key whose event is refused keeps
 * the row of the event before. Throws HistoryViolation.
 */
export function foldShare({ projection, steps, refusals }: Share, before: ReadonlyMap<string, AnyRow>): Folded {
  const rows = new Map<string, { row: AnyRow; event: LedgerEvent }>();
  const refused = new Map<string, Refusal>();
  for (const { key, event } of steps) {
    if (refused.has(key)) continue;
    const row = rows.get(key)?.row ?? before.get(key);
    try {
      const next = projection.fold(row, event);
      if (next !== undefined && next !== row) rows.set(key, { row: next, event: rows.get(key)?.event ?? event });
    } catch (error) {
      if (error instanceof HistoryViolation) throw error;
      refused.set(key, { projection: projection.name, key, event, error });
    }
  }
  return { projection, rows, refusals: [...refusals, ...refused.values()] };
}
