import type { EntryMeta } from "../../streams/entry.ts";
import type { EventDraft } from "../../streams/events.ts";
import { cronRunId } from "../../streams/ids.ts";
import type { Firing } from "../../streams/schedules.ts";
import { DEFAULTS } from "../defaults.ts";
import { localTime } from "../define/zone.ts";
import type { Carrier } from "../middleware.ts";
import type { DueSlot, MissedSlots } from "./misfire.ts";
import type { Known, Schedule } from "./schedule.ts";

/** One step of a plan: slots that were missed, a slot that fires, or both. */
export interface Step {
  readonly missed: readonly MissedSlots[];
  readonly due: DueSlot | undefined;
}

/** The event that tells of missed slots. */
export function missedEvent({ name, record }: Schedule, missed: MissedSlots): EventDraft<"slot.missed"> {
  const { slot, until, count, isAtLeast, reason } = missed;
  return {
    type: "slot.missed",
    schedule: name,
    task: record.name,
    slot,
    until,
    missedCount: count,
    ...(isAtLeast ? { isAtLeast } : {}),
    reason,
  };
}

/** The id of the run that a slot makes: the same on every machine. */
export function runOf({ name, lane }: Schedule, slot: number): string {
  return cronRunId({ namespace: lane.namespace, queue: lane.queue, schedule: name, slotMs: slot, rerun: 0 });
}

/** What goes to Redis for a slot that fires: the entry's fields, and the events that tell of it. */
export function toFiring(
  schedule: Schedule,
  known: Known,
  { step, carrier, nowMs }: { readonly step: Step; readonly carrier: Carrier; readonly nowMs: number },
): Firing {
  const { name, record } = schedule;
  const { standing } = known.situation;
  const missed = step.missed.map((one) => missedEvent(schedule, one));
  const common = { schedule: name, last: standing.last, definition: known.text };
  const { due } = step;
  if (due === undefined) return { ...common, slot: missed.at(-1)?.until as number, events: missed };
  const run = runOf(schedule, due.slot);
  const expires = expiryOf(due, known, nowMs);
  const lateMs = lateMsOf(known, due.slot, nowMs);
  const events = [...missed, ...firedEvents(schedule, known, { run, due, lateMs, expires, carrier })];
  const meta = JSON.stringify(metaOf(schedule, known, { due, carrier, nowMs }));
  const body = known.definition.content.input ?? "";
  return { ...common, slot: due.slot, events, run: { id: run, task: record.name, expires, meta, body } };
}

/**
 * A run that still waits when the next slot comes has been overtaken by it, and expires. Not so for those that are
 * caught up on one by one, nor for one that is to wait until the run before has ended.
 */
function expiryOf({ slot, trigger }: DueSlot, { definition, situation }: Known, nowMs: number): number {
  const { misfire, overlap } = definition.content;
  if (overlap === "queue_one" || (trigger === "catch_up" && misfire === "fire_all")) return 0;
  return situation.slots(trigger === "catch_up" ? Math.max(slot, nowMs) : slot, 1)[0] ?? 0;
}

/** How long after it was due a slot is acted on, in ms: jitter makes it due later than the slot itself. */
export function lateMsOf({ situation }: Known, slot: number, nowMs: number): number {
  return Math.max(0, Math.round(nowMs - situation.dueAt(slot)));
}

interface FiredRun {
  readonly run: string;
  readonly due: DueSlot;
  readonly lateMs: number;
  /** 0: never. */
  readonly expires: number;
  readonly carrier: Carrier;
}

function firedEvents(
  { name, record }: Schedule,
  { definition, situation, zone }: Known,
  { run, due, lateMs, expires, carrier }: FiredRun,
): [EventDraft<"slot.fired">, EventDraft<"run.enqueued">] {
  const { timezone, input } = definition.content;
  const { slot, trigger } = due;
  const common = {
    run,
    task: record.name,
    schedule: name,
    slot,
    trigger,
    ...(carrier.traceparent === undefined ? {} : { traceparent: carrier.traceparent }),
  };
  return [
    {
      type: "slot.fired",
      ...common,
      lateMs,
      timezone,
      scheduledLocal: localTime(zone, slot),
    },
    {
      type: "run.enqueued",
      ...common,
      timezone,
      ...(situation.standing.fired === undefined ? {} : { previousSlot: situation.standing.fired }),
      ...(input === undefined ? {} : { input: JSON.parse(input) as unknown }),
      ...(record.version === DEFAULTS.version ? {} : { taskVersion: record.version }),
      ...(expires === 0 ? {} : { expiresAt: expires }),
    },
  ];
}

function metaOf(
  { name, record }: Schedule,
  { definition, situation }: Known,
  { due, carrier, nowMs }: { readonly due: DueSlot; readonly carrier: Carrier; readonly nowMs: number },
): EntryMeta {
  const { fired } = situation.standing;
  return {
    ...(record.version === DEFAULTS.version ? {} : { taskVersion: record.version }),
    enqueuedAt: Math.trunc(nowMs),
    cron: {
      schedule: name,
      at: due.slot,
      ...(fired === undefined ? {} : { previous: fired }),
      timezone: definition.content.timezone,
      trigger: due.trigger,
    },
    ...(carrier.traceparent === undefined ? {} : { traceparent: carrier.traceparent }),
    ...(carrier.tracestate === undefined ? {} : { tracestate: carrier.tracestate }),
  };
}
