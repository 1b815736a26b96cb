import type { EntryMeta, EntryRetry, EntrySlot } from "../streams/entry.ts";
import type { LedgerEvent } from "../streams/events.ts";
import type { LaneKeys } from "../streams/keys.ts";
import { toParcel } from "../streams/packed.ts";
import type { LostRun } from "../streams/repair.ts";

/** An idempotency key holds at least so long, in case no worker is left to end its run: as a dispatch has it. */
const KEY_SAFETY_MS = 30 * 86_400_000;

/** What a run that Redis has lost is made again with. */
export interface LostFrom {
  readonly keys: LaneKeys;
  /** Why, for the event. */
  readonly reason: string;
  readonly nowMs: number;
}

/**
 * A run as it has to lie in its lane again, from its history; undefined when the event of its dispatch is not there. It goes on with the attempt
 * it was at: a failed attempt is used up, one that was under way is not. What it waited for, a delay or the next try, it still waits for. Pure.
 */
export function toLostRun(history: readonly LedgerEvent[], { keys, reason, nowMs }: LostFrom): LostRun | undefined {
  const enqueued = history.find((event) => event.type === "run.enqueued");
  if (enqueued === undefined) return undefined;
  const { run, task, input, expiresAt = 0, key } = enqueued;
  const parcel = toParcel(input === undefined ? "" : JSON.stringify(input));
  const dueAt = dueOf(history);
  const ttlMs = Math.max(Math.max(dueAt, enqueued.keyUntil ?? 0) - nowMs, 0) + KEY_SAFETY_MS;
  return {
    run,
    task,
    attempt: attemptOf(history),
    expires: expiresAt,
    meta: JSON.stringify({ ...metaOf(enqueued, dueAt), ...parcel.meta }),
    body: parcel.body,
    dueAt: dueAt > nowMs ? dueAt : 0,
    key: key === undefined ? undefined : { name: keys.key(task, key), ttlMs },
    cancelAt: history.find((event) => event.type === "run.cancel_requested")?.at ?? 0,
    reason,
  };
}

/** The attempt that is to be made next, or again. */
function attemptOf(history: readonly LedgerEvent[]): number {
  let attempt = 1;
  for (const event of history) {
    if (event.type === "run.started") attempt = Math.max(attempt, event.attempt);
    else if (event.type === "run.failed") attempt = Math.max(attempt, event.attempt + 1);
  }
  return attempt;
}

/** Until when it was to wait by its last transition, in ms; 0: it was not. */
function dueOf(history: readonly LedgerEvent[]): number {
  let dueAt = 0;
  for (const event of history) {
    if (event.type === "run.enqueued" || event.type === "run.restored") dueAt = event.dueAt ?? 0;
    else if (event.type === "run.failed" || event.type === "run.deferred") dueAt = event.retryAt ?? 0;
    else if (event.type === "run.due" || event.type === "run.started") dueAt = 0;
  }
  return dueAt;
}

function metaOf(event: LedgerEvent<"run.enqueued">, dueAt: number): EntryMeta {
  const {
    taskVersion,
    parent,
    root,
    redriveOf,
    labels,
    timeoutMs,
    retry,
    keyUntil,
    traceparent,
    tracestate,
    isOfMany,
  } = event;
  const all: EntryMeta = {
    taskVersion,
    enqueuedAt: event.at,
    dueAt: dueAt === 0 ? undefined : dueAt,
    parent,
    root,
    redriveOf,
    labels,
    timeoutMs,
    retry: retry as EntryRetry | undefined,
    keyUntil: event.key === undefined ? undefined : (keyUntil ?? 0),
    cron: slotOf(event),
    traceparent,
    tracestate,
    isOfMany,
  };
  return all; // what is undefined is left out of the JSON
}

function slotOf({
  schedule,
  slot,
  previousSlot,
  timezone,
  trigger,
  lock,
  isOwed,
}: LedgerEvent<"run.enqueued">): EntrySlot | undefined {
  if (schedule === undefined || slot === undefined || trigger === undefined) return undefined;
  return { schedule, at: slot, previous: previousSlot, timezone: timezone ?? "UTC", trigger, lock, isOwed };
}
