import type { Redis } from "ioredis";
import { EVENT_VERSION, type EventDraft, isKnown, type LedgerEvent, type UnknownEvent } from "./events.ts";
import type { LaneKeys } from "./keys.ts";
import { unpackInputs } from "./packed.ts";
import { inFull } from "./trace-ids.ts";
import { lift } from "./upcasters.ts";

/**
 * The header of a ledger entry. One entry is a record batch: all events that one process recorded in one flush.
 * `p` and `c` together are the batch token: no two batches share it, so that a reader can tell whether history is still the same.
 */
export interface BatchHeader {
  /** The header's format. */
  readonly f: 1;
  /** The incarnation of the process that wrote it. */
  readonly p: string;
  /** That process' call number. */
  readonly c: number;
  readonly codec: "json";
  /** The writer's clock against Redis', in ms. */
  readonly o?: number | undefined;
  /** What every event of the batch has unless it says otherwise. */
  readonly d: Shared & {
    readonly v: number;
    readonly queue: string;
    /** Left out when the events say it themselves, as those that scripts make do. */
    readonly at?: number | undefined;
    readonly worker?: string | undefined;
  };
}

/**
 * What a header tells of a run's events only when each of them has it, and the same: an event that lacks it would be told to have it, and no event says
 * that it lacks something.
 */
export interface Shared {
  readonly type?: string | undefined;
  readonly task?: string | undefined;
  readonly attempt?: number | undefined;
  readonly delivery?: number | undefined;
  readonly isOfMany?: boolean | undefined;
  /** Which an event may differ from, as long as it says one of its own. */
  readonly traceparent?: string | undefined;
}

/** A ledger entry as Redis gives it and the archive keeps it. */
export interface LedgerEntry {
  /** `ms-seq`. */
  readonly id: string;
  readonly header: string;
  readonly count: number;
  readonly events: string;
}

/** A header as it is written. */
export function encodeHeader(
  writer: { readonly incarnation: string; readonly call: number; readonly clockOffsetMs: number },
  defaults: Omit<BatchHeader["d"], "v">,
): string {
  const header: BatchHeader = {
    f: 1,
    p: writer.incarnation,
    c: writer.call,
    codec: "json",
    ...(writer.clockOffsetMs === 0 ? {} : { o: writer.clockOffsetMs }),
    d: { v: EVENT_VERSION, ...defaults },
  };
  return JSON.stringify(header);
}

/** Those of some fields in which all events of a batch agree; none of no events. For the batch's header, and to be left out of the events. */
export function sharedBy(events: readonly EventDraft[], fields: readonly (keyof Shared)[]): Shared {
  const shared: Record<string, unknown> = {};
  for (const field of fields) {
    const value = (events[0] as Shared | undefined)?.[field];
    if (value !== undefined && isInAll(events, field, value)) shared[field] = value;
  }
  return shared;
}

function isInAll(events: readonly Shared[], field: keyof Shared, value: unknown): boolean {
  for (const event of events) if (event[field] !== value) return false;
  return true;
}

/** An event as it is written, without what its header tells. */
export function encodeEvent(
  event: EventDraft,
  { type, task, attempt, delivery, isOfMany, traceparent }: Shared = {},
): string {
  const own: Record<string, unknown> = { ...event };
  // What is undefined is not written.
  if (type !== undefined) own.type = undefined;
  if (task !== undefined) own.task = undefined;
  if (attempt !== undefined) own.attempt = undefined;
  if (delivery !== undefined) own.delivery = undefined;
  if (isOfMany !== undefined) own.isOfMany = undefined;
  if (own.traceparent === traceparent) own.traceparent = undefined;
  return JSON.stringify(own);
}

/** The events of a batch as they are written, without what their header tells. Default: it tells nothing that is theirs. */
export function encodeEvents(events: readonly EventDraft[], shared?: Shared): string {
  if (shared === undefined) return JSON.stringify(events);
  return `[${events.map((event) => encodeEvent(event, shared)).join(",")}]`;
}

/** The batch token: what tells this batch from every other. */
export function batchToken(header: string): string {
  try {
    const { p, c } = JSON.parse(header) as BatchHeader;
    return `${p}/${c}`;
  } catch {
    return "malformed";
  }
}

/** Which lane, and which life of it, an entry was read from. */
export interface Place {
  readonly queue: string;
  readonly incarnation: string;
}

/**
 * The events of an entry, each with its position, lifted to the current version. Never throws: an entry that cannot be read
 * becomes one `ledger.malformed` event, and an event of an unknown type is handed on as it is.
 */
export function decodeEntry(entry: LedgerEntry, place: Place): (LedgerEvent | UnknownEvent)[] {
  const at = Number(entry.id.slice(0, entry.id.indexOf("-")));
  const whole = `${place.queue}/${place.incarnation}/${entry.id}/`;
  const where = (index: number) => whole + index;
  const malformed = (why: string): UnknownEvent[] => [
    { type: "ledger.malformed", at, queue: place.queue, position: where(0), why },
  ];
  let header: Partial<BatchHeader>;
  let events: unknown;
  try {
    header = JSON.parse(entry.header) as Partial<BatchHeader>;
    events = JSON.parse(entry.events);
  } catch (error) {
    return malformed(String(error));
  }
  if (header === null || typeof header !== "object" || header.f !== 1 || !Array.isArray(events))
    return malformed("not a record batch");
  const defaults = { queue: place.queue, at, ...header.d };
  return events.map((event: unknown, index) => decodeEvent(event, defaults, where(index)));
}

function decodeEvent(event: unknown, defaults: object, position: string): LedgerEvent | UnknownEvent {
  const isObject = event !== null && typeof event === "object" && !Array.isArray(event);
  const given = (isObject ? { ...defaults, ...event } : {}) as UnknownEvent;
  if (typeof given.type !== "string")
    return { ...(defaults as { at: number }), type: "ledger.malformed", position, why: "not an event" };
  const lifted = lift(given);
  // Ours to write to, unless it is what an upcaster gave: a copy more of each event is what decoding would cost.
  const whole = (lifted === given ? given : { ...lifted }) as Record<string, unknown>;
  whole.position = position;
  if (typeof whole.traceparent === "string") nameTrace(whole);
  return whole as LedgerEvent | UnknownEvent;
}

/** Spells the trace context out that was written as what it follows from. */
function nameTrace(whole: Record<string, unknown>): void {
  const traceparent = inFull(whole.traceparent as string, whole);
  if (traceparent === undefined) delete whole.traceparent;
  else whole.traceparent = traceparent;
  const traceId = traceparent?.split("-")[1];
  if (traceId !== undefined) whole.traceId = traceId;
}

/** Narrows what a reader got to the events that this version knows. */
export function isLedgerEvent(event: LedgerEvent | UnknownEvent): event is LedgerEvent {
  return isKnown(event.type);
}

type RawEntry = [id: string, fields: string[] | null];

/** Turns Redis' reply into an entry as it lies there, packed inputs included; fields in any order, missing ones empty. */
export function toLedgerEntry([id, fields]: RawEntry): LedgerEntry {
  const found: Record<string, string> = {};
  for (let i = 0; fields !== null && i + 1 < fields.length; i += 2)
    found[fields[i] as string] = fields[i + 1] as string;
  return { id, header: found.h ?? "", count: Number(found.n ?? 0), events: found.events ?? "" };
}

/** Reads entries from an id on, that one included. `count` is an upper bound: 16 entries of up to 256 KiB each are the most that is asked for at once. */
export async function readEntries(
  redis: Redis,
  keys: LaneKeys,
  range: { readonly from: string; readonly until?: string; readonly count: number },
): Promise<LedgerEntry[]> {
  const reply = (await redis.xrange(keys.events, range.from, range.until ?? "+", "COUNT", range.count)) as RawEntry[];
  return reply.map(toLedgerEntry).map(unpackInputs);
}

/** Waits at most `blockMs` for entries after an id, on a connection of its own. None came: an empty array. */
export async function waitForEntries(
  blocking: Redis,
  keys: LaneKeys,
  after: { readonly id: string; readonly count: number; readonly blockMs: number },
): Promise<LedgerEntry[]> {
  const reply = (await blocking.xread(
    "COUNT",
    after.count,
    "BLOCK",
    after.blockMs,
    "STREAMS",
    keys.events,
    after.id,
  )) as [string, RawEntry[]][] | null;
  return reply?.[0]?.[1].map(toLedgerEntry).map(unpackInputs) ?? [];
}

/** Waits at most `blockMs` until one of several lanes has an entry after its id, on a connection of its own. */
export async function waitForAny(
  blocking: Redis,
  places: readonly { readonly keys: LaneKeys; readonly id: string }[],
  blockMs: number,
): Promise<void> {
  const names = places.map(({ keys }) => keys.events);
  await blocking.xread("COUNT", 1, "BLOCK", blockMs, "STREAMS", ...names, ...places.map(({ id }) => id));
}

/** Of a time in ms, from 2001 to 2286. */
const MS_DIGITS = 13;
const DASH = 45;

/** Compares two stream ids as the two numbers they are. As strings they would compare wrongly. */
export function compareIds(a: string, b: string): number {
  const isOfOneForm = a.length === b.length && a.charCodeAt(MS_DIGITS) === DASH && b.charCodeAt(MS_DIGITS) === DASH;
  if (isOfOneForm) return a < b ? -1 : a > b ? 1 : 0;
  const dash = a.indexOf("-");
  if (dash < 0 || dash !== b.indexOf("-")) return compareNumbers(a, b);
  // Of as many digits, which nearly all are, they compare as texts, too; and of the same millisecond the longer is the later.
  if (a.length !== b.length && isSameUpTo(a, b, dash)) return a.length - b.length;
  return a < b ? -1 : a > b ? 1 : 0;
}

function isSameUpTo(a: string, b: string, end: number): boolean {
  for (let at = 0; at < end; at += 1) if (a.charCodeAt(at) !== b.charCodeAt(at)) return false;
  return true;
}

function compareNumbers(a: string, b: string): number {
  const [aMs, aSeq] = splitId(a);
  const [bMs, bSeq] = splitId(b);
  return aMs - bMs || aSeq - bSeq;
}

/** The two numbers of a stream id. */
export function splitId(id: string): [ms: number, seq: number] {
  const dash = id.indexOf("-");
  return dash < 0 ? [Number(id), 0] : [Number(id.slice(0, dash)), Number(id.slice(dash + 1))];
}
