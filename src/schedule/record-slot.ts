import type { EntryMeta, EntrySlot } from "../../streams/entry.ts";
import type { EventDraft } from "../../streams/events.ts";
import { cronRunId } from "../../streams/ids.ts";
import type { Firing } from "../../streams/schedules.ts";
import { localTime } from "../define/zone.ts";
import type { Carrier } from "../middleware.ts";
import { type Definition, patternText, versionOf } from "./definition.ts";
import type { MissedSlots } from "./misfire.ts";
import type { Known, Schedule } from "./schedule.ts";

/** A slot that makes a run. */
export interface RunSlot {
  readonly slot: number;
  readonly trigger: "schedule" | "catch_up" | "backfill";
  /** Part of its run's id. Default 0: the slot itself. */
  readonly rerun?: number | undefined;
  /** How many slots that are fired together with it come before it: those that are owed run one after the other. Default 0. */
  readonly before?: number | undefined;
}

/** One step of a plan: slots that were missed, a slot that fires, or both. */
export interface Step {
  readonly missed: readonly MissedSlots[];
  readonly due: RunSlot | undefined;
}

/** The event that tells of missed slots. */
export function missedEvent(schedule: string, task: string, missed: MissedSlots): EventDraft<"slot.missed"> {
  const { slot, until, count, isAtLeast, reason } = missed;
  return {
    type: "slot.missed",
    schedule,
    task,
    slot,
    until,
    missedCount: count,
    ...(isAtLeast ? { isAtLeast } : {}),
    reason,
  };
}

/** The id of the run that a slot makes: the same on every machine. */
export function runOf({ name, lane }: Schedule, { slot, rerun = 0 }: Omit<RunSlot, "trigger">): string {
  return cronRunId({ namespace: lane.namespace, queue: lane.queue, schedule: name, slotMs: slot, rerun });
}

/** What goes to Redis for a slot that fires: the entry's fields, and the events that tell of it. */
export function toFiring(
  schedule: Schedule,
  known: Known,
  { step, carrier, nowMs }: { readonly step: Step; readonly carrier: Carrier; readonly nowMs: number },
): Firing {
  const { name } = schedule;
  const { standing } = known.situation;
  const { content } = known.definition;
  const missed = step.missed.map((one) => missedEvent(name, content.task, one));
  const endedPattern = missed.length === 0 ? undefined : patternText(content);
  const common = { schedule: name, last: standing.last, definition: known.text, endedPattern };
  const { due } = step;
  if (due === undefined) return { ...common, slot: missed.at(-1)?.until as number, events: missed };
  const run = runOf(schedule, due);
  const expires = expiryOf(due, known, nowMs);
  const lateMs = lateMsOf(known, due.slot, nowMs);
  const dueAt = turnAt(due, known, nowMs);
  const events = [...missed, ...firedEvents(schedule, known, { run, due, lateMs, expires, dueAt, carrier })];
  const meta = JSON.stringify(metaOf(schedule, known, { due, carrier, nowMs }));
  const sent = { id: run, task: content.task, expires, meta, body: content.input ?? "", dueAt };
  const isInTurn = isOwed(due, known.definition) && content.overlap !== "allow";
  return { ...common, slot: due.slot, events, run: { ...sent, isOwed: isInTurn } };
}

/** The longest that a run waits for its turn should nobody tell it, in ms. */
const LONGEST_TURN_MS = 900_000;

/**
 * When a run that waits for others is due though nobody has told it that it is its turn: not before those have had their time.
 * 0: it waits for none.
 */
function turnAt({ before = 0, ...due }: RunSlot, { definition }: Known, nowMs: number): number {
  const { overlap, lockTtlMs } = definition.content;
  if (before === 0 || overlap === "allow" || !isOwed(due, definition)) return 0;
  return Math.trunc(nowMs + Math.min(before * Math.max(60_000, lockTtlMs), LONGEST_TURN_MS)) + before;
}

/**
 * A run that still waits when the next slot comes has been overtaken by it, and expires. Not so for those that are
 * caught up on one by one, nor for one that is to wait until the run before has ended.
 */
function expiryOf(due: RunSlot, { definition, situation }: Known, nowMs: number): number {
  const { slot, trigger } = due;
  if (definition.content.overlap === "queue_one" || isOwed(due, definition)) return 0;
  return situation.slots(trigger === "catch_up" ? Math.max(slot, nowMs) : slot, 1)[0] ?? 0;
}

/** How long after it was due a slot is acted on, in ms: jitter makes it due later than the slot itself. */
export function lateMsOf({ situation }: Known, slot: number, nowMs: number): number {
  return Math.max(0, Math.round(nowMs - situation.dueAt(slot)));
}

interface FiredRun {
  readonly run: string;
  readonly due: RunSlot;
  readonly lateMs: number;
  /** 0: never. */
  readonly expires: number;
  /** 0: now. */
  readonly dueAt: number;
  readonly carrier: Carrier;
}

function firedEvents(
  { name }: Schedule,
  known: Known,
  { run, due, lateMs, expires, dueAt, carrier }: FiredRun,
): [EventDraft<"slot.fired">, EventDraft<"run.enqueued">] {
  const { timezone, input, task, taskVersion } = known.definition.content;
  const { fired: previous } = known.situation.standing;
  const { slot, trigger } = due;
  const { traceparent } = carrier;
  const common = { run, task, schedule: name, slot, trigger, ...(traceparent === undefined ? {} : { traceparent }) };
  return [
    { type: "slot.fired", ...common, lateMs, timezone, scheduledLocal: localTime(known.zone, slot) },
    {
      type: "run.enqueued",
      ...common,
      timezone,
      ...(previous === undefined ? {} : { previousSlot: previous }),
      ...(input === undefined ? {} : { input: JSON.parse(input) as unknown }),
      ...exclusionOf(due, known.definition),
      ...versionOf(taskVersion),
      ...(expires === 0 ? {} : { expiresAt: expires }),
      ...(dueAt === 0 ? {} : { dueAt }),
    },
  ];
}

function metaOf(
  { name }: Schedule,
  { definition, situation }: Known,
  { due, carrier, nowMs }: { readonly due: RunSlot; readonly carrier: Carrier; readonly nowMs: number },
): EntryMeta {
  const { fired } = situation.standing;
  const { traceparent, tracestate } = carrier;
  return {
    ...versionOf(definition.content.taskVersion),
    enqueuedAt: Math.trunc(nowMs),
    cron: {
      schedule: name,
      at: due.slot,
      ...(fired === undefined ? {} : { previous: fired }),
      timezone: definition.content.timezone,
      trigger: due.trigger,
      ...exclusionOf(due, definition),
    },
    ...(traceparent === undefined ? {} : { traceparent }),
    ...(tracestate === undefined ? {} : { tracestate }),
  };
}

/** What a run has to be told of its overlap lock: nothing when its task says so itself. */
export function lockOf({ source, content }: Definition): Pick<EntrySlot, "lock"> {
  return source === "declared" ? {} : { lock: { overlap: content.overlap, ttlMs: content.lockTtlMs } };
}

/** What a run is told of others of its schedule. */
function exclusionOf(due: RunSlot, definition: Definition): Pick<EntrySlot, "lock" | "isOwed"> {
  return { ...lockOf(definition), ...(isOwed(due, definition) ? { isOwed: true } : {}) };
}

/** Slots that are caught up on one by one come all at once: were they skipped for each other, only one of them would run. */
function isOwed({ trigger }: RunSlot, { content }: Definition): boolean {
  return trigger === "backfill" || (trigger === "catch_up" && content.misfire === "fire_all");
}
