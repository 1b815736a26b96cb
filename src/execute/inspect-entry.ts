import { type Delivery, ENTRY_VERSION, type Entry, type EntryMeta } from "../../streams/entry.ts";
import { isRunId } from "../../streams/ids.ts";
import { isKnownCodec } from "../../streams/packed.ts";
import { OF_DISPATCH } from "../../streams/trace-ids.ts";
import type { TaskRecord } from "../define/task.ts";
import { cleanText } from "./recorded-error.ts";

/** What can be read of an entry. Run and task are fit for events in any case. */
export type Inspected = { readonly run: string; readonly task: string } & (
  | { readonly kind: "fit"; readonly meta: EntryMeta; readonly record: TaskRecord }
  /** Of a task, a version or a format that another worker may know. */
  | { readonly kind: "unknown"; readonly meta: EntryMeta; readonly reason: UnknownReason }
  /** No version of this engine wrote it, or something has damaged it since. */
  | { readonly kind: "undecodable"; readonly why: string }
);

/** Why an entry is left to other workers. */
export type UnknownReason = "unknown_task" | "newer_version" | "newer_format";

/** What inspecting rests on. */
export interface InspectParts<Held> {
  readonly task: (name: string) => TaskRecord | undefined;
  /** The id of a run whose entry has none: always the same for the same entry. */
  readonly idOf: (held: Held) => string;
}

/** Reads an entry that is held. Pure; never throws. */
export function inspectEntry<Held extends { readonly delivery: Pick<Delivery, "entry"> }>(
  held: Held,
  { task: find, idOf }: InspectParts<Held>,
): Inspected {
  const { entry } = held.delivery;
  const isOurId = isRunId(entry.run);
  const record = find(entry.task);
  const plain = isOurId && record?.run !== undefined && isPlain(entry, record) ? plainMeta(entry.meta) : undefined;
  if (plain !== undefined)
    return { kind: "fit", run: entry.run, task: entry.task, meta: plain, record: record as TaskRecord };
  const run = isOurId ? entry.run : idOf(held);
  const task = entry.task === "" ? "(none)" : cleanText(entry.task, 200);
  const undecodable = (why: string) => ({ kind: "undecodable", run, task, why }) as const;
  const version = Number(entry.v);
  if (entry.v === "" || !Number.isInteger(version) || version < 1) return undecodable("it has no format version `v`");
  const meta = readMeta(entry.meta);
  if (run !== entry.run) return undecodable(`"${cleanText(entry.run, 60)}" is no run id`);
  if (entry.v !== ENTRY_VERSION && version > Number(ENTRY_VERSION)) {
    return { kind: "unknown", run, task, reason: "newer_format", meta: meta ?? { enqueuedAt: 0 } };
  }
  if (entry.task === "") return undecodable("it names no task");
  if (!Number.isInteger(entry.attempt) || entry.attempt < 1) return undecodable("its attempt is no number from 1 on");
  if (!Number.isFinite(entry.expires)) return undecodable("its expiry is no number");
  if (meta === undefined) return undecodable("its meta is not what this engine writes");
  if (!isKnownCodec(meta.codec)) return { kind: "unknown", run, task, meta, reason: "newer_format" };
  if (record?.run === undefined) return { kind: "unknown", run, task, meta, reason: "unknown_task" };
  if ((meta.taskVersion ?? 1) > record.version) return { kind: "unknown", run, task, meta, reason: "newer_version" };
  if (record.cron !== undefined && meta.cron === undefined) return undecodable("it is of a cron and names no slot");
  return { kind: "fit", run, task, meta, record };
}

/** True for what nearly all entries are but for their meta: of a task that is no cron, and that may start whenever it is. */
function isPlain({ v, attempt, expires }: Entry, { cron }: TaskRecord): boolean {
  return v === ENTRY_VERSION && cron === undefined && expires === 0 && attempt >= 1 && Number.isInteger(attempt);
}

const META_BEGINS = '{"enqueuedAt":';
const TRACE_BEGINS = ',"traceparent":"';
const TRACE_LENGTH = 55;
const SHORT_TRACE_ENDS = `${TRACE_BEGINS}${OF_DISPATCH}"}`;
const MOST_DIGITS = 15;

/** The meta that was read last: entries that were read together share its text, as a rule. */
let last: { readonly text: string; readonly meta: EntryMeta | undefined } = { text: "", meta: undefined };

function plainMeta(text: string): EntryMeta | undefined {
  if (text !== last.text) last = { text, meta: readPlainMeta(text) };
  return last.meta;
}

/** What nearly all metas say: when the run was dispatched, and in which trace. Undefined for any other. Read by hand, since each run has one. */
function readPlainMeta(text: string): EntryMeta | undefined {
  if (!text.startsWith(META_BEGINS)) return undefined;
  let at = META_BEGINS.length;
  let enqueuedAt = 0;
  for (let digit = text.charCodeAt(at) - 48; digit >= 0 && digit <= 9; digit = text.charCodeAt(at) - 48) {
    enqueuedAt = enqueuedAt * 10 + digit;
    at += 1;
  }
  const digitCount = at - META_BEGINS.length;
  const isLedByZero = digitCount > 1 && text.charCodeAt(META_BEGINS.length) === 48;
  if (digitCount === 0 || digitCount > MOST_DIGITS || isLedByZero) return undefined;
  if (at + 1 === text.length) return text.endsWith("}") ? Object.freeze({ enqueuedAt }) : undefined;
  if (text.length === at + SHORT_TRACE_ENDS.length && text.endsWith(SHORT_TRACE_ENDS))
    return Object.freeze({ enqueuedAt, traceparent: OF_DISPATCH });
  if (!text.startsWith(TRACE_BEGINS, at)) return undefined;
  const from = at + TRACE_BEGINS.length;
  const to = from + TRACE_LENGTH;
  if (text.indexOf('"', from) !== to || text.includes("\\", from)) return undefined;
  const traceparent = text.slice(from, to);
  if (to + 2 === text.length) return text.endsWith("}") ? Object.freeze({ enqueuedAt, traceparent }) : undefined;
  return text.slice(to) === '","isOfMany":true}'
    ? Object.freeze({ enqueuedAt, traceparent, isOfMany: true })
    : undefined;
}

/** An entry's meta; undefined when it is not what we write. Fields that this version does not know are kept. */
export function readMeta(text: string): EntryMeta | undefined {
  let value: Partial<EntryMeta> | null;
  try {
    value = JSON.parse(text) as Partial<EntryMeta> | null;
  } catch {
    return undefined;
  }
  if (typeof value !== "object" || value === null || !isCount(value.enqueuedAt)) return undefined;
  const { cron, labels, retry } = value;
  const isFit =
    areCounts(value.taskVersion, value.dueAt, value.keyUntil, value.timeoutMs, value.resultTtlMs, value.unknownSince) &&
    areTexts(
      value.traceparent,
      value.tracestate,
      value.baggage,
      value.previousTraceparent,
      value.parent,
      value.root,
      value.redriveOf,
    ) &&
    (labels === undefined || (isRecord(labels) && areTexts(...Object.values(labels)))) &&
    (cron === undefined || isSlot(cron)) &&
    (retry === undefined || isRetry(retry));
  return isFit ? (value as EntryMeta) : undefined;
}

function isSlot(slot: unknown): boolean {
  if (!isRecord(slot)) return false;
  const { schedule, at, previous, timezone, trigger } = slot;
  return isCount(at) && areCounts(previous) && [schedule, timezone, trigger].every((text) => typeof text === "string");
}

function isRetry(retry: unknown): boolean {
  if (!isRecord(retry)) return false;
  const { attempts, delayMs, maxDelayMs, jitter, backoff } = retry;
  return (
    areCounts(attempts, delayMs, maxDelayMs, jitter) && [undefined, "fixed", "exponential"].includes(backoff as never)
  );
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && value >= 0;
}

function areCounts(...values: unknown[]): boolean {
  for (const value of values) if (value !== undefined && !isCount(value)) return false;
  return true;
}

function areTexts(...values: unknown[]): boolean {
  for (const value of values) if (value !== undefined && typeof value !== "string") return false;
  return true;
}
