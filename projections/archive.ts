import type { ArchivedEntry } from "../sql/queries/archive.ts";
import type { LedgerEvent, UnknownEvent } from "../streams/events.ts";
import { decodeEntry, type LedgerEntry, splitId } from "../streams/ledger.ts";

/** A lane's name in Postgres. */
export function laneName(namespace: string, queue: string): string {
  return `${namespace}:${queue}`;
}

/** A lane's namespace and queue. Neither can hold a colon. */
export function parseLane(lane: string): { readonly namespace: string; readonly queue: string } {
  const colon = lane.indexOf(":");
  return { namespace: lane.slice(0, colon), queue: lane.slice(colon + 1) };
}

/** Which life of which lane an entry is from. */
export interface ArchivePlace {
  readonly lane: string;
  readonly incarnation: string;
}

/**
 * An entry as the archive keeps it: as it is. What Postgres could not unpack (no JSON, a NUL, half a surrogate pair) is kept
 * whole in `raw`, and one event stands in for it, so that a single bad entry cannot break the view for all others.
 * `decoded` is what `decodeEntry` made of it.
 */
export function toArchived(
  entry: LedgerEntry,
  { lane, incarnation }: ArchivePlace,
  decoded: readonly object[],
): ArchivedEntry {
  const [ms, seq] = splitId(entry.id);
  const place = { lane, incarnation, ms, seq, eventCount: decoded.length };
  if (canUnpack(entry, decoded)) return { ...place, header: entry.header, events: entry.events, raw: null };
  const header = JSON.stringify({ f: 1, d: { at: ms, queue: parseLane(lane).queue } });
  return { ...place, header, events: '[{"type":"ledger.malformed"}]', raw: JSON.stringify(entry) };
}

/** The entry as it stood in Redis. */
export function fromArchived(archived: ArchivedEntry): LedgerEntry {
  if (archived.raw !== null) return JSON.parse(archived.raw) as LedgerEntry;
  const { ms, seq, eventCount, header, events } = archived;
  return { id: `${ms}-${seq}`, header, count: eventCount, events };
}

/** The events of an archived entry, each with its position. */
export function decodeArchived(archived: ArchivedEntry): (LedgerEvent | UnknownEvent)[] {
  return decodeEntry(fromArchived(archived), {
    queue: parseLane(archived.lane).queue,
    incarnation: archived.incarnation,
  });
}

// An escaped NUL; an escaped surrogate, which may be half a pair; a number that may be beyond numeric. Looked at closely only when there.
const SUSPECT = /\\u0000|\\u[dD][89a-fA-F]|[:[,]\s*-?\d[\d.]*[eE]\+?\d{3}/;

function canUnpack({ header, events }: LedgerEntry, decoded: readonly object[]): boolean {
  if (decoded.some((event) => (event as { type?: unknown }).type === "ledger.malformed")) return false;
  const { d } = JSON.parse(header) as { d?: unknown };
  if (typeof d !== "object" || Array.isArray(d) || SUSPECT.test(header)) return false;
  return !SUSPECT.test(events) || decoded.every(isStorable);
}

function isStorable(value: unknown): boolean {
  if (typeof value === "string") return value.isWellFormed() && !value.includes("\0");
  if (typeof value === "number") return Number.isFinite(value);
  if (typeof value !== "object" || value === null) return true;
  return Object.entries(value).every(([name, inner]) => isStorable(name) && isStorable(inner));
}
