import type { EnqueueRecord } from "../../streams/enqueue.ts";
import type { EntryMeta } from "../../streams/entry.ts";
import type { EventDraft } from "../../streams/events.ts";
import type { Lane } from "../../streams/lane.ts";
import { toParcel } from "../../streams/packed.ts";
import { type CurrentRun, currentRun } from "../current-run.ts";
import { DEFAULTS } from "../defaults.ts";
import { isNothingSaid, type ResolvedDispatch } from "../define/resolve-dispatch.ts";
import type { TaskRecord } from "../define/task.ts";
import { besideRun } from "../left-out.ts";
import type { Carrier } from "../middleware.ts";
import { createPlainRecords, type PlainRecords, type PlainSource } from "./plain-record.ts";

/** Redis forgets a key by itself only after so long, in case no worker is left to end its run: 30 days. */
const KEY_SAFETY_MS = 30 * 86_400_000;

/** One dispatch, checked and encoded. */
export interface Dispatch {
  readonly task: Pick<TaskRecord, "name" | "version">;
  readonly run: string;
  /** JSON of the encoded input; empty for none. */
  readonly body: string;
  readonly said: ResolvedDispatch;
  readonly key: string | undefined;
  readonly carrier: Carrier | undefined;
  /** True when it is dispatched together with others. */
  readonly isOfMany: boolean;
  /** When it was dispatched, in ms on Redis' clock. Default: now. */
  readonly nowMs?: number | undefined;
  /** The run that dispatched it. Default: the one whose handler is at work. */
  readonly parent?: (Pick<CurrentRun, "run" | "root"> & Partial<CurrentRun>) | undefined;
}

/** What goes to Redis for a dispatch: the entry's fields, and the event that tells of it. `plain` makes the plain ones: the same for dispatches that go together. */
export function toRecord(lane: Lane, dispatch: Dispatch, plain: PlainRecords = createPlainRecords()): EnqueueRecord {
  const { task, run, body, said, key, carrier: given, isOfMany } = dispatch;
  const now = Math.trunc(dispatch.nowMs ?? lane.clock.now());
  const parent = dispatch.parent ?? currentRun.getStore();
  const carrier = given === undefined || besideRun(given, run) === undefined ? parent?.carrier : given; // who traces nothing hands on what came in
  if (isPlain(dispatch) && carrier?.tracestate === undefined && carrier?.baggage === undefined) {
    const traceparent = carrier === undefined ? undefined : besideRun(carrier, run);
    return plain(run, body, { task: task.name, nowMs: now, parent, traceparent, isOfMany });
  }
  const dueAt = said.atMs ?? (said.delayMs === undefined ? 0 : now + said.delayMs);
  const isLater = dueAt > now;
  const expires = said.expiresMs === undefined ? 0 : Math.max(dueAt, now) + said.expiresMs;
  const parcel = toParcel(body);
  const meta: Writable<EntryMeta> = { enqueuedAt: now, ...parcel.meta };
  const event: Writable<EventDraft<"run.enqueued">> = { type: "run.enqueued", run, task: task.name, ...parcel.event };
  if (task.version !== DEFAULTS.version) meta.taskVersion = event.taskVersion = task.version;
  if (isLater) meta.dueAt = event.dueAt = dueAt;
  if (expires !== 0) event.expiresAt = expires;
  if (parent !== undefined) {
    meta.parent = event.parent = parent.run;
    meta.root = event.root = parent.root;
  }
  if (said.labels !== undefined) meta.labels = event.labels = said.labels;
  if (said.timeoutMs !== undefined) meta.timeoutMs = event.timeoutMs = said.timeoutMs;
  if (said.retry !== undefined) {
    meta.retry = said.retry;
    event.retry = { ...said.retry };
  }
  if (carrier?.traceparent !== undefined) {
    meta.traceparent = event.traceparent = carrier.traceparent;
    if (carrier.tracestate !== undefined) meta.tracestate = event.tracestate = carrier.tracestate;
    if (carrier.baggage !== undefined) meta.baggage = carrier.baggage;
    if (isOfMany) meta.isOfMany = event.isOfMany = true;
  }
  const { body: packed, inputJson } = parcel;
  const common = { run, task: task.name, body: packed, expires, dueAt: isLater ? dueAt : 0, event, inputJson };
  if (key === undefined) return { ...common, meta: JSON.stringify(meta), key: undefined };
  event.key = key;
  const held = said.keyTtl === "run" ? 0 : said.keyTtl;
  meta.keyUntil = event.keyUntil = held === 0 ? 0 : now + held;
  const ttlMs = Math.max(dueAt - now, 0) + Math.max(held, KEY_SAFETY_MS);
  return { ...common, meta: JSON.stringify(meta), key: { name: lane.keys.key(task.name, key), ttlMs } };
}

/** What dispatches that go together, none of which has a key of its own, have in common when they are plain and nobody traces them: then it is made once for all. */
export function plainSource(common: Omit<Dispatch, "run" | "body" | "key">): PlainSource | undefined {
  const { task, said, carrier, isOfMany, nowMs } = common;
  if (nowMs === undefined || carrier !== undefined || !isPlain({ task, said, key: undefined })) return undefined;
  if (common.parent !== undefined || currentRun.getStore() !== undefined) return undefined;
  return { task: task.name, nowMs, parent: undefined, traceparent: undefined, isOfMany };
}

/** True when nothing is said of it but its input, which is what nearly all dispatches say. */
function isPlain({ said, key, task }: Pick<Dispatch, "said" | "key" | "task">): boolean {
  return isNothingSaid(said) && key === undefined && task.version === DEFAULTS.version;
}

type Writable<T> = { -readonly [K in keyof T]: T[K] };
