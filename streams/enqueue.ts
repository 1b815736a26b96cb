import { eventOf, type OwnRecord, type PlainHead, type PlainRecord } from "./enqueue-record.ts";
import { ENTRY_VERSION, packEntry } from "./entry.ts";
import { type CallLimits, callScript, type Lane } from "./lane.ts";
import { encodeEvent, type Shared, sharedBy } from "./ledger.ts";
import { wholeMs } from "./scripts.ts";
import { traceToldOnce } from "./trace-ids.ts";

/** Most records in one call. */
export const CALL_RECORDS = 500;
/** Most bytes in one call, of which one oversize record alone may be the only exception: arguments into Lua cost about 2 µs a KB, in which Redis serves nobody else. */
export const CALL_BYTES = 262_144;

/** One run to be enqueued. */
export type EnqueueRecord = OwnRecord | PlainRecord;

/** What an event tells besides the input, about, in bytes. */
const EVENT_BYTES = 140;
/** A UTF-16 unit takes so many bytes at most: texts that would fit even so are not measured. */
const WIDEST = 3;

/** What a record is measured by. */
export type Sized = { readonly body: string } & (
  | { readonly head?: undefined; readonly meta: string }
  | { readonly head: Pick<PlainHead, "meta"> }
);

/** What a record adds to its call, and to the ledger entry, about, in bytes. */
export function bytesOf(record: Sized): number {
  const { meta } = record.head ?? record;
  return Buffer.byteLength(record.body) + Math.max(Buffer.byteLength(meta), EVENT_BYTES);
}

/** How many of some records, from one on, go into one call: at most 500, of at most 256 KiB, so that neither the entries nor the ledger entry are larger. */
export function countForCall(records: readonly Sized[], from = 0): number {
  const most = Math.min(CALL_RECORDS, records.length - from);
  let widest = 0;
  for (let index = from; index < from + most; index += 1) {
    const record = records[index] as Sized;
    const { meta } = record.head ?? record;
    widest += (record.body.length + meta.length) * WIDEST + EVENT_BYTES;
  }
  if (widest <= CALL_BYTES) return most;
  let bytes = 0;
  for (let count = 0; count < most; count += 1) {
    bytes += bytesOf(records[from + count] as Sized);
    if (count > 0 && bytes > CALL_BYTES) return count;
  }
  return most;
}

/** Cuts records into calls. */
export function cutIntoCalls<T extends Sized>(records: readonly T[]): T[][] {
  const calls: T[][] = [];
  for (let at = 0; at < records.length; at += calls.at(-1)?.length ?? 0)
    calls.push(records.slice(at, at + countForCall(records, at)));
  return calls;
}

/** What became of a call. */
export interface Enqueued {
  /** By index: the run that was there before under the same key. */
  readonly existing: ReadonlyMap<number, string>;
  /** The id of a record's entry; undefined when it is scheduled, was there before, or the answer had got lost and was asked for again. */
  entryId(index: number): string | undefined;
  /** The ledger entry that records it; empty when nothing was new. Told again when the answer had got lost. */
  readonly ledgerId: string;
}

/**
 * Enqueues the records of one call: all or none. Tried again under the same call number until the deadline; after that the script
 * itself refuses it, so that nothing lands later. Throws CallFailed.
 */
export async function enqueue(
  lane: Lane,
  records: readonly EnqueueRecord[],
  limits: CallLimits = {},
): Promise<Enqueued> {
  const next = lane.nextCall();
  const call = "then" in next ? await next : next;
  try {
    const { deadline } = limits;
    const redisDeadline =
      deadline === undefined ? 0 : Math.ceil(lane.clock.now() + Math.max(0, deadline - performance.now()));
    const asked = lane.fullness.asks();
    const sent = enqueueCall(lane, call.number, redisDeadline, records);
    if (asked) askWhetherFull(lane, sent);
    const reply = await callScript(lane, { script: "enqueue", ...sent }, limits);
    const status = String(reply[0]);
    if (status === "full") lane.fullness.wasFull();
    if (status === "late" || status === "stale" || status === "full") throw new EnqueueRefused(status);
    return toEnqueued(reply);
  } finally {
    call.done();
  }
}

const FORM_AT = 5;

function askWhetherFull({ keys }: Lane, call: ReturnType<typeof enqueueCall>): void {
  call.keys.push(keys.meta);
  call.args[FORM_AT] = `${call.args[FORM_AT]}?`;
}

/** The script refused a call that came after its deadline (`late`), whose number had been reused (`stale`), or whose lane's ledger is past what its projector allows (`full`). */
export class EnqueueRefused extends Error {
  readonly status: string;
  constructor(status: string) {
    super(`Redis refused the call as ${status}`);
    this.status = status;
    this.name = "EnqueueRefused";
  }
}

/** What `enqueue.lua` is called with. */
export function enqueueCall(
  lane: Lane,
  call: number,
  redisDeadline: number,
  records: readonly EnqueueRecord[],
): { keys: string[]; args: (string | number)[] } {
  const { keys } = lane;
  const isPlain = records.every(({ head, dueAt, key }) => head !== undefined || (dueAt === 0 && key === undefined));
  // Whether a keyed run is new is known to the script alone: then it joins the events. Else they go in ready-made, which is cheaper.
  const isKeyed = !isPlain && records.some(({ key }) => key !== undefined);
  const shared = sharedOf(records, isPlain);
  const events = isKeyed ? noEvents : eventsOf(records, shared);
  const named = [keys.tasks, keys.events, keys.scheduled, keys.scheduledEntries, keys.calls(lane.incarnation)];
  const form = isPlain ? "plain" : "mixed";
  const batch = [call, redisDeadline, lane.header(call, shared), events.count, events.json, form];
  if (isPlain) return { keys: named, args: batch.concat(records.map(entryOf)) };
  const args: (string | number)[] = batch;
  for (const record of records) {
    args.push(entryOf(record));
    const { dueAt = 0, key } = record;
    if (key !== undefined) named.push(key.name);
    args.push(wholeMs(dueAt), key === undefined ? 0 : named.length - 5, Math.max(1, wholeMs(key?.ttlMs ?? 0)));
    const own = isKeyed ? eventsOf([record], shared) : noEvents;
    args.push(own.count, own.json.slice(1, -1));
  }
  return { keys: named, args };
}

const noEvents = { count: 0, json: "" };

function entryOf(record: EnqueueRecord): string {
  if (record.head !== undefined) return `${ENTRY_VERSION}\0${record.run}${record.head.entry}${record.body}`;
  return packEntry({ ...record, attempt: 1, key: record.key?.name ?? "" });
}

/** What events of dispatches have in common as a rule. Nothing else: a run that became due on its way has an event that the script makes. */
const SHARED = ["type", "task"] as const;
/** Of a call to which the script adds no events. */
const SHARED_BY_PLAIN = [...SHARED, "isOfMany"] as const;

function sharedOf(records: readonly EnqueueRecord[], isPlain: boolean): Shared {
  const head = records[0]?.head;
  if (head !== undefined && records.every((record) => record.head === head)) {
    const { type, task, isOfMany, traceparent } = head.event;
    return { type, task, isOfMany, traceparent };
  }
  const all = records.flatMap((record) =>
    record.before === undefined ? eventOf(record) : [record.before, eventOf(record)],
  );
  return isPlain ? { ...sharedBy(all, SHARED_BY_PLAIN), traceparent: traceToldOnce(all) } : sharedBy(all, SHARED);
}

/** What is recorded of some records, as one text. It is joined once: a text that grows by a few words a run costs as much to put in a row as to write. */
function eventsOf(
  records: readonly EnqueueRecord[],
  shared: Shared,
): { readonly count: number; readonly json: string } {
  const words = ["["];
  let count = 0;
  let last: PlainHead | undefined;
  let told = "";
  for (const record of records) {
    const { run, body, head } = record;
    if (head === undefined) {
      for (const text of ownEvents(record, shared)) words.push(count++ === 0 ? "" : ",", text);
      continue;
    }
    if (head !== last) told = `"${headOf(head.event, shared)}${head.beforeBody}`;
    last = head;
    words.push(count++ === 0 ? '{"run":"' : ',{"run":"', run, told, body, head.afterBody);
  }
  words.push("]");
  return { count, json: words.join("") };
}

/** A delayed run says until when, since that is the state it begins in. */
function ownEvents({ before, event, inputJson, dueAt }: OwnRecord, shared: Shared): string[] {
  const isRight = event.dueAt === (dueAt === 0 ? undefined : dueAt);
  const own = isRight ? event : { ...event, dueAt: dueAt === 0 ? undefined : dueAt };
  const text = encodeEvent(own, shared);
  const whole = inputJson === undefined ? text : `${text.slice(0, -1)},"input":${inputJson}}`;
  return before === undefined ? [whole] : [encodeEvent(before, shared), whole];
}

/** What the event of a plain record says besides, since its header does not. */
function headOf({ type, task, traceparent, isOfMany }: PlainHead["event"], shared: Shared): string {
  let head = shared.type === undefined ? `,"type":"${type}"` : "";
  if (shared.task === undefined) head += `,"task":${JSON.stringify(task)}`;
  if (traceparent !== shared.traceparent) head += `,"traceparent":${JSON.stringify(traceparent)}`;
  return isOfMany === shared.isOfMany ? head : `${head},"isOfMany":${isOfMany}`;
}

/** What `enqueue.lua` has answered. */
export function toEnqueued(reply: readonly unknown[]): Enqueued {
  const words = String(reply[3] ?? "").split(" ");
  const existing = new Map<number, string>();
  for (let i = 0; i + 1 < words.length; i += 2) existing.set(Number(words[i]), words[i + 1] as string);
  return new Answered(existing, String(reply[4] ?? ""), String(reply[2]));
}

/** Of a class, since the handles of its runs hold it (ARCHITECTURE.md, "young"). */
class Answered implements Enqueued {
  declare readonly existing: ReadonlyMap<number, string>;
  declare readonly ledgerId: string;
  declare private readonly ids: string;
  private list: string[] | undefined = undefined;

  constructor(existing: ReadonlyMap<number, string>, ledgerId: string, ids: string) {
    this.existing = existing;
    this.ledgerId = ledgerId;
    this.ids = ids;
  }

  entryId(index: number): string | undefined {
    this.list ??= this.ids.split(" ");
    const id = this.list[index];
    return id === undefined || id === "-" || id === "" ? undefined : id;
  }
}
