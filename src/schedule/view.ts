import type { Redis } from "ioredis";
import { type KeptSchedule, readSchedules, scheduleNames } from "../../streams/cron.ts";
import type { CallLimits, Lane } from "../../streams/lane.ts";
import { holderOf } from "../../streams/locks.ts";
import { nextSlots } from "../define/pattern.ts";
import type { ScheduleState } from "../define/schedules.ts";
import { type Definition, isResting } from "./definition.ts";
import { isDeclared } from "./reconcile.ts";
import { readSound } from "./schedule.ts";

/** A schedule as Redis keeps it, with what follows from that. Instants in ms. */
export interface ScheduleView {
  readonly schedule: string;
  readonly queue: string;
  readonly definition: Definition;
  /** True while some scheduler has it in its code. */
  readonly isDeclared: boolean;
  readonly seenAt: number | undefined;
  /** The last slot that was acted on: fired, skipped or missed. */
  readonly lastSlot: number | undefined;
  readonly firedCount: number;
  /** Empty while it is paused, and when it has no more. */
  readonly next: readonly number[];
  /** The run that holds the overlap lock and has not ended. */
  readonly lockHolder: string | undefined;
}

const NEXT_SLOTS = 3;

/** The schedules that a lane keeps, by name. What a newer version has written and this one cannot read is left out. `lockServers`: default, the lane's own. */
export async function viewSchedules(
  lane: Lane,
  limits: CallLimits,
  lockServers: readonly Redis[] = [lane.redis],
): Promise<ScheduleView[]> {
  await readSchedules(lane, [""], limits); // waits for a connection
  const names = await scheduleNames(lane);
  const [kept, holders] = await Promise.all([
    readSchedules(lane, names, limits),
    Promise.all(names.map((name) => runAtWork(lane, lockServers, name))),
  ]);
  return names.flatMap((schedule, index) => {
    const one = kept[index] as KeptSchedule;
    const definition = readSound(one.definition);
    if (definition === undefined) return [];
    return [toView(lane, { schedule, kept: one, definition, holder: holders[index] })];
  });
}

/** Who holds a schedule's overlap lock, and did not just leave it behind. */
async function runAtWork(lane: Lane, lockServers: readonly Redis[], schedule: string): Promise<string | undefined> {
  const holder = await holderOf(lockServers, lane.keys.lock(schedule));
  if (holder === undefined) return undefined;
  return (await lane.redis.exists(lane.keys.ended(holder))) === 0 ? holder : undefined;
}

interface Parts {
  readonly schedule: string;
  readonly kept: KeptSchedule;
  readonly definition: Definition;
  readonly holder: string | undefined;
}

function toView(lane: Lane, { schedule, kept, definition, holder }: Parts): ScheduleView {
  const nowMs = lane.clock.now();
  return {
    schedule,
    queue: lane.queue,
    definition,
    isDeclared: isDeclared(kept, nowMs),
    seenAt: kept.seenAt,
    lastSlot: kept.last,
    firedCount: kept.firedCount,
    next: nextOf(definition, kept, nowMs),
    lockHolder: holder,
  };
}

function nextOf(definition: Definition, { firedCount }: KeptSchedule, nowMs: number): number[] {
  const { content } = definition;
  const left = content.maxRuns === undefined ? NEXT_SLOTS : Math.max(0, content.maxRuns - firedCount);
  if (isResting(definition) || left === 0) return [];
  const after = Math.max(nowMs, (content.startsAtMs ?? 0) - 1);
  return nextSlots(content, after, Math.min(NEXT_SLOTS, left)).filter((slot) => slot <= (content.endsAtMs ?? slot));
}

/** A schedule as users see it. */
export function toState({ schedule, definition, lastSlot, next, lockHolder }: ScheduleView): ScheduleState {
  const { task, expression, timezone } = definition.content;
  return {
    id: schedule,
    task,
    cron: expression,
    timezone,
    isPaused: definition.pausedAt !== undefined,
    lastSlot: lastSlot === undefined ? undefined : new Date(lastSlot),
    next: next.map((slot) => new Date(slot)),
    lockHolder,
  };
}
