import { packEntry } from "./entry.ts";
import type { EventDraft } from "./events.ts";
import { type CallLimits, callScript, type Lane } from "./lane.ts";
import { encodeEvent, type Shared, sharedBy } from "./ledger.ts";
import { wholeMs } from "./scripts.ts";
import { traceToldOnce } from "./trace-ids.ts";

/** Most records in one call. */
export const CALL_RECORDS = 500;
/** Most bytes in one call, of which one oversize record alone may be the only exception: arguments into Lua cost about 2 µs a KB, in which Redis serves nobody else. */
export const CALL_BYTES = 262_144;

/** One run to be enqueued. */
export interface EnqueueRecord {
  readonly run: string;
  readonly task: string;
  /** JSON of an EntryMeta. */
  readonly meta: string;
  /** JSON of the input, or that packed as the meta's codec says; empty for none. */
  readonly body: string;
  /** Must have started by then, in ms on Redis' clock; 0: no matter when. */
  readonly expires: number;
  /** Not before then, in ms on Redis' clock; 0: now. */
  readonly dueAt: number;
  /** The Redis key of its idempotency key, and how long that lives at most, in ms. */
  readonly key?: { readonly name: string; readonly ttlMs: number } | undefined;
  readonly event: EventDraft<"run.enqueued">;
  /** JSON of the event's input, when the event itself has none. */
  readonly inputJson?: string | undefined;
  /** JSON of the event and its input, without what `headOf` writes and without braces, when it was written already. Of what is due at once. */
  readonly eventJson?: string | undefined;
  /** Recorded before it, in the same batch, if the run is new: what made it. */
  readonly before?: EventDraft | undefined;
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

/** What an event tells besides the input, about, in bytes. */
const EVENT_BYTES = 140;

/** What a record adds to its call, and to the ledger entry, about, in bytes. */
export function bytesOf({ body, meta }: { readonly body: string; readonly meta: string }): number {
  return Buffer.byteLength(body) + Math.max(Buffer.byteLength(meta), EVENT_BYTES);
}

/** Cuts records into calls of at most 500 records and 256 KiB, so that neither the entries nor the ledger entry are larger. */
export function cutIntoCalls<T extends { readonly body: string; readonly meta: string }>(records: readonly T[]): T[][] {
  const calls: T[][] = [];
  let current: T[] = [];
  let bytes = 0;
  for (const record of records) {
    const size = bytesOf(record);
    if (current.length > 0 && (current.length >= CALL_RECORDS || bytes + size > CALL_BYTES)) {
      calls.push(current);
      current = [];
      bytes = 0;
    }
    current.push(record);
    bytes += size;
  }
  if (current.length > 0) calls.push(current);
  return calls;
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
  const call = await lane.nextCall();
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

/** What events of dispatches have in common as a rule. Nothing else: a run that became due on its way has an event that the script makes. */
const SHARED = ["type", "task"] as const;
/** Of a call to which the script adds no events. */
const SHARED_BY_PLAIN = [...SHARED, "isOfMany"] as const;

/** What `enqueue.lua` is called with. */
export function enqueueCall(
  lane: Lane,
  call: number,
  redisDeadline: number,
  records: readonly EnqueueRecord[],
): { keys: string[]; args: (string | number)[] } {
  const { keys } = lane;
  const isPlain = records.every((record) => record.dueAt === 0 && record.key === undefined);
  // Whether a keyed run is new is known to the script alone: then it joins the events. Else they go in ready-made, which is cheaper.
  const isKeyed = records.some((record) => record.key !== undefined);
  const all = records.flatMap(({ before, event }) => (before === undefined ? event : [before, event]));
  const shared: Shared = isPlain
    ? { ...sharedBy(all, SHARED_BY_PLAIN), traceparent: traceToldOnce(all) }
    : sharedBy(all, SHARED);
  const events = isKeyed ? noEvents : eventsOf(records, shared);
  const named = [keys.tasks, keys.events, keys.scheduled, keys.scheduledEntries, keys.calls(lane.incarnation)];
  const args: (string | number)[] = [
    call,
    redisDeadline,
    lane.header(call, shared),
    events.count,
    events.json,
    isPlain ? "plain" : "mixed",
  ];
  for (const record of records) {
    args.push(packEntry({ ...record, attempt: 1, key: record.key?.name ?? "" }));
    if (isPlain) continue;
    if (record.key !== undefined) named.push(record.key.name);
    const index = record.key === undefined ? 0 : named.length - 5;
    args.push(wholeMs(record.dueAt), index, Math.max(1, wholeMs(record.key?.ttlMs ?? 0)));
    const own = isKeyed ? eventTexts(record, shared) : [];
    args.push(own.length, own.join(","));
  }
  return { keys: named, args };
}

const noEvents = { count: 0, json: "" };

/** What is recorded of all of them, as one text. */
function eventsOf(
  records: readonly EnqueueRecord[],
  shared: Shared,
): { readonly count: number; readonly json: string } {
  let count = 0;
  let json = "";
  for (const record of records) {
    for (const text of eventTexts(record, shared)) {
      json += count === 0 ? text : `,${text}`;
      count += 1;
    }
  }
  return { count, json: `[${json}]` };
}

/** What is recorded of a run. A delayed one says until when, since that is the state it begins in. */
function eventTexts({ before, event, inputJson, eventJson, dueAt }: EnqueueRecord, shared: Shared): string[] {
  if (eventJson !== undefined) return [`{${headOf(event, shared)}${eventJson}}`];
  const isRight = event.dueAt === (dueAt === 0 ? undefined : dueAt);
  const own = isRight ? event : { ...event, dueAt: dueAt === 0 ? undefined : dueAt };
  const text = encodeEvent(own, shared);
  const whole = inputJson === undefined ? text : `${text.slice(0, -1)},"input":${inputJson}}`;
  return before === undefined ? [whole] : [encodeEvent(before, shared), whole];
}

/** What an event that was written already has to say besides, since its header does not. */
function headOf({ type, task, traceparent, isOfMany }: EventDraft<"run.enqueued">, shared: Shared): string {
  let head = shared.type === undefined ? `"type":"${type}",` : "";
  if (shared.task === undefined) head += `"task":${JSON.stringify(task)},`;
  if (traceparent !== shared.traceparent) head += `"traceparent":${JSON.stringify(traceparent)},`;
  return isOfMany === shared.isOfMany ? head : `${head}"isOfMany":${isOfMany},`;
}

/** What `enqueue.lua` has answered. */
export function toEnqueued(reply: readonly unknown[]): Enqueued {
  const ids = String(reply[2]);
  const words = String(reply[3] ?? "").split(" ");
  const existing = new Map<number, string>();
  for (let i = 0; i + 1 < words.length; i += 2) existing.set(Number(words[i]), words[i + 1] as string);
  let list: string[] | undefined;
  return {
    existing,
    ledgerId: String(reply[4] ?? ""),
    entryId(index) {
      list ??= ids.split(" ");
      const id = list[index];
      return id === undefined || id === "-" || id === "" ? undefined : id;
    },
  };
}
