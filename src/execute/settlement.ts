import type { EntryMeta } from "../../streams/entry.ts";
import type { EventDraft, EventType, RecordedError } from "../../streams/events.ts";
import type { Settlement } from "../../streams/settle.ts";
import { inFull } from "../../streams/trace-ids.ts";
import type { Hold } from "../deliver/work-lane.ts";
import type { Attempt } from "./attempt.ts";
import { readMeta } from "./inspect-entry.ts";
import { nowOf } from "./now-of.ts";
import { plainStart } from "./plain-settlement.ts";
import { recordError } from "./recorded-error.ts";

/** What every event of an attempt has. The worker stands in the batch's header. */
export function ofAttempt(attempt: Attempt) {
  const { delivery, entry } = attempt.hold.delivery;
  const { traceparent } = attempt.carrier;
  const fields = { run: entry.run, task: entry.task, attempt: entry.attempt, delivery, at: nowOf(attempt.hold) };
  return (traceparent === undefined ? fields : { ...fields, traceparent }) as typeof fields &
    WithWorker & { readonly traceparent?: string };
}

/** What the batch's header says of each of its events. */
interface WithWorker {
  readonly worker: string;
}

/** How an attempt begins. */
export function startOf(attempt: Attempt): Settlement & { readonly kind: "started" } {
  const { meta, hold } = attempt;
  if (meta.cron === undefined) return plainStart(attempt);
  const { schedule, at: slot } = meta.cron;
  const common = ofAttempt(attempt);
  const waitedMs = Math.max(0, common.at - (meta.dueAt ?? meta.enqueuedAt));
  const event: EventDraft<"run.started"> = { type: "run.started", ...common, waitedMs, schedule, slot };
  return { kind: "started", delivery: hold.delivery, events: [event] };
}

/** It is tried again after a while. */
export function retry(attempt: Attempt, durationMs: number, failure: { error: unknown; delayMs: number }): Settlement {
  const { hold, meta } = attempt;
  const common = ofAttempt(attempt);
  const retryAt = common.at + failure.delayMs;
  const again: EntryMeta = { ...meta, dueAt: retryAt, ...previousOf(attempt) };
  return {
    kind: "moved",
    delivery: hold.delivery,
    events: [{ type: "run.failed", ...common, error: recordError(failure.error), durationMs, retryAt }],
    // It has started in time: what it was given to start by no longer matters.
    move: { dueAt: retryAt, attempt: common.attempt + 1, meta: JSON.stringify(again), expires: 0 },
  };
}

/** It is given up, after its handler had its turn. */
export function death(attempt: Attempt, durationMs: number, failure: { error: unknown; reason: string }): Settlement {
  const error = recordError(failure.error);
  const previous = previousOf(attempt);
  return {
    kind: "dead",
    delivery: attempt.hold.delivery,
    reason: failure.reason,
    error: JSON.stringify(error),
    events: [{ type: "run.died", ...ofAttempt(attempt), reason: failure.reason, error, durationMs }],
    keyUntil: attempt.meta.keyUntil,
    meta: previous === undefined ? undefined : JSON.stringify({ ...attempt.meta, ...previous }),
  };
}

/** The trace context of an attempt as the next one is told of it, for a link. None when it had only that of its dispatch. */
function previousOf({ carrier, meta, hold }: Attempt): Pick<EntryMeta, "previousTraceparent"> | undefined {
  const { traceparent } = carrier;
  const ofDispatch = inFull(meta.traceparent, hold.delivery.entry);
  return traceparent === ofDispatch ? undefined : { previousTraceparent: traceparent };
}

/** It was cancelled while its handler ran. */
export function cancellation(attempt: Attempt, durationMs: number): Settlement {
  return {
    kind: "ended",
    delivery: attempt.hold.delivery,
    events: [{ type: "run.cancelled", ...ofAttempt(attempt), durationMs }],
    keyUntil: attempt.meta.keyUntil,
  };
}

/** Who is meant, when a run ends or waits without having started. */
export interface Unstarted {
  readonly hold: Hold;
  readonly run: string;
  readonly task: string;
  readonly meta: EntryMeta | undefined;
}

function ofUnstarted({ hold, run, task, meta }: Unstarted) {
  const { attempt } = hold.delivery.entry;
  return {
    run,
    task,
    at: nowOf(hold),
    ...(Number.isInteger(attempt) && attempt >= 0 ? { attempt } : undefined),
    ...(meta?.traceparent === undefined ? undefined : { traceparent: inFull(meta.traceparent, { run }) }),
  };
}

/** It is given up before its handler could begin. */
export function stillbirth(one: Unstarted, reason: string, failure: unknown): Settlement {
  const error: RecordedError | undefined = failure === undefined ? undefined : recordError(failure);
  return {
    kind: "dead",
    delivery: one.hold.delivery,
    reason,
    error: error === undefined ? "" : JSON.stringify(error),
    events: [
      {
        type: "run.died",
        ...ofUnstarted(one),
        delivery: one.hold.delivery.delivery,
        worker: one.hold.workLane.consumer,
        reason,
        ...(error === undefined ? undefined : { error }),
      },
    ],
    keyUntil: one.meta?.keyUntil,
  };
}

/** It was cancelled before its handler began. */
export function cancellationUnstarted(one: Unstarted): Settlement {
  return {
    kind: "ended",
    delivery: one.hold.delivery,
    events: [{ type: "run.cancelled", ...ofUnstarted(one), worker: one.hold.workLane.consumer }],
    keyUntil: one.meta?.keyUntil,
  };
}

/** Its slot is passed over, since the run before still holds the lock. */
export function skip(one: Unstarted, holder: string | undefined): Settlement {
  const cron = one.meta?.cron;
  return {
    kind: "ended",
    delivery: one.hold.delivery,
    events: [
      {
        type: "run.skipped",
        ...ofUnstarted(one),
        reason: "overlap_lock_held",
        worker: one.hold.workLane.consumer,
        ...(holder === undefined ? undefined : { holder }),
        ...(cron === undefined ? undefined : { schedule: cron.schedule, slot: cron.at }),
      },
    ],
    keyUntil: one.meta?.keyUntil,
  };
}

/** It is left for later, and no attempt is used up. */
export function deferral(one: Unstarted, reason: string, later: { delayMs: number; meta: string }): Settlement {
  const { entry } = one.hold.delivery;
  const common = ofUnstarted(one);
  const retryAt = common.at + later.delayMs;
  return {
    kind: "moved",
    delivery: one.hold.delivery,
    events: [{ type: "run.deferred", ...common, reason, retryAt, worker: one.hold.workLane.consumer }],
    move: { dueAt: retryAt, attempt: entry.attempt, meta: later.meta, expires: entry.expires },
  };
}

interface EventOfAttempt {
  readonly type: EventType;
  readonly run: string;
  readonly task: string;
  readonly attempt?: number;
  readonly at?: number;
  readonly durationMs?: number;
  readonly traceparent?: string;
}

/** What was to be tried again ends, since its cancel had been asked for. */
export function asCancelled({ delivery, events, lockLeftMs }: Settlement, worker: string): Settlement {
  const { run, task, attempt, at, durationMs, traceparent } = events.at(-1) as EventOfAttempt;
  const cancelled: EventDraft<"run.cancelled"> = {
    type: "run.cancelled",
    run,
    task,
    worker,
    ...(at === undefined ? undefined : { at }),
    ...(attempt === undefined ? undefined : { attempt }),
    ...(durationMs === undefined ? undefined : { durationMs }),
    ...(traceparent === undefined ? undefined : { traceparent }),
  };
  const keyUntil = delivery.entry.key === "" ? undefined : readMeta(delivery.entry.meta)?.keyUntil;
  return { kind: "ended", delivery, events: [...events.slice(0, -1), cancelled], keyUntil, lockLeftMs };
}

/** What is recorded of an outcome that was refused. */
export function fencedNote({ events, delivery }: Settlement, worker: string): EventDraft<"run.fenced"> {
  const { type, run, task, attempt = 0, traceparent } = events.at(-1) as EventOfAttempt;
  const trace = traceparent === undefined ? undefined : { traceparent };
  return { type: "run.fenced", run, task, attempt, delivery: delivery.delivery, worker, refused: type, ...trace };
}

/** About how many bytes a settlement takes on the wire. */
export function bytesOf(settlement: Settlement): number {
  const { entry } = settlement.delivery;
  const base = 250 * (settlement.isPlain === true ? 1 : settlement.events.length);
  if (settlement.kind === "moved") return base + entry.body.length + settlement.move.meta.length;
  if (settlement.kind === "dead") return base + entry.body.length + entry.meta.length + settlement.error.length * 2;
  if (settlement.kind === "ended") return base + (settlement.result?.json.length ?? 0);
  return base;
}
