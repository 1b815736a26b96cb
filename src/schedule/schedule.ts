import type { Lane } from "../../streams/lane.ts";
import type { Locks } from "../../streams/locks.ts";
import type { Standing } from "../../streams/schedules.ts";
import type { Bell } from "../bell.ts";
import { readPattern, slotsOf } from "../define/pattern.ts";
import type { CronRecord, TaskRecord } from "../define/task.ts";
import { openZone, type Zone } from "../define/zone.ts";
import type { SendHook } from "../enqueue/around-send.ts";
import type { Notice } from "../middleware.ts";
import { type Definition, isResting, readDefinition, type ScheduleContent } from "./definition.ts";
import { decide, type Plan, type Situation } from "./misfire.ts";
import { dueAtOf, remembering } from "./slots.ts";

/** What firing works with. */
export interface FiringDeps {
  /** This life of this scheduler: the value of the locks that it holds. */
  readonly incarnation: string;
  /** Undefined: no lock spares schedulers the work of others; each slot fires once all the same. */
  readonly locks: Locks | undefined;
  readonly hooks: () => readonly SendHook[];
  readonly announce: (notice: Notice) => void;
  /** Redis' clock, in ms. */
  readonly now: () => number;
  /** Never runs backwards, in ms. */
  readonly elapsed: () => number;
}

/** What the parts of a scheduler work with. */
export interface SchedulerDeps extends FiringDeps {
  /** Those of `cron()` from the beginning; those made at run time come and go. */
  readonly schedules: Schedule[];
  /** Rung when what is due next may have changed. */
  readonly bell: Bell;
}

/** A schedule as it was last read. Changed by `adopt` and `moveOn` alone. */
export interface Schedule {
  readonly name: string;
  /** What this process declares; undefined: it was made at run time. */
  readonly own: ScheduleContent | undefined;
  readonly lane: Lane;
  /** What Redis keeps; undefined: not read yet, or left to other schedulers. */
  known: Known | undefined;
  /** When it has something to do, in ms; undefined: never, as far as is known. */
  dueAt: number | undefined;
  /** True while its slots are being fired. */
  isBusy: boolean;
  /** Counts changes: what was read before one is not adopted after it. */
  changeCount: number;
  /** Failures in a row. */
  failureCount: number;
}

/** A task that is fired by the scheduler. */
export type CronTaskRecord = TaskRecord & { readonly cron: CronRecord };

/** A definition and how far it has come. */
export interface Known {
  readonly text: string;
  readonly definition: Definition;
  readonly situation: Situation;
  /** The clocks that its expression means. */
  readonly zone: Zone;
}

/** True for what `cron()` declared. */
export function isCron(record: TaskRecord): record is CronTaskRecord {
  return record.cron !== undefined;
}

/** A schedule of which nothing has been read yet. */
export function newSchedule({ name, own, lane }: Pick<Schedule, "name" | "own" | "lane">): Schedule {
  return {
    name,
    own,
    lane,
    known: undefined,
    dueAt: undefined,
    isBusy: false,
    changeCount: 0,
    failureCount: 0,
  };
}

/** Takes in what Redis keeps of a schedule. A text that cannot be read leaves the schedule to others. */
export function adopt(
  schedule: Schedule,
  kept: { readonly definition: string | undefined; readonly standing: Standing },
  nowMs: number,
): void {
  const { known } = schedule;
  const { standing, definition: text } = kept;
  if (known !== undefined && known.text === text && known.situation.standing.last === standing.last) return;
  schedule.changeCount += 1;
  const definition = known?.text === text ? known?.definition : readSound(text);
  if (definition === undefined || text === undefined) {
    schedule.known = undefined;
    schedule.dueAt = undefined;
    return;
  }
  const before = known?.text === text ? known : newKnown(text, definition, schedule);
  schedule.known = { ...before, situation: { ...before.situation, standing } };
  schedule.dueAt = whenDue(planAt(schedule, nowMs), nowMs);
}

/** A definition that can be gone by: a stranger may have written it. */
export function readSound(text: string | undefined): Definition | undefined {
  const definition = readDefinition(text);
  if (definition === undefined) return undefined;
  try {
    readPattern(definition.content.expression, definition.content.timezone);
    return definition;
  } catch {
    return undefined;
  }
}

/** Takes in that this process has moved the schedule on, or was told where another one did. */
export function moveOn(schedule: Schedule, standing: Standing): void {
  if (schedule.known === undefined) return;
  const { known } = schedule;
  schedule.known = { ...known, situation: { ...known.situation, standing } };
  schedule.changeCount += 1;
}

function newKnown(text: string, definition: Definition, { name }: Schedule): Known {
  const { content, changedAt, pause } = definition;
  const slots = remembering(slotsOf(content));
  const dueAt = dueAtOf(name, content.jitterMs, slots);
  const standing = { last: undefined, fired: undefined, firedCount: 0 };
  const situation = { rules: content, standing, changedAt, pause, slots, dueAt };
  return { text, definition, situation, zone: openZone(content.timezone) };
}

/** What a schedule has to do at an instant: nothing while it is paused, or not known. */
export function planAt({ known }: Schedule, nowMs: number): Plan {
  if (known === undefined || isResting(known.definition)) {
    return { missed: [], fire: [], nextDueAt: undefined };
  }
  return decide(nowMs, known.situation);
}

/** When a plan is due: now, if it has anything to be done. */
export function whenDue({ missed, fire, nextDueAt }: Plan, nowMs: number): number | undefined {
  return missed.length + fire.length > 0 ? nowMs : nextDueAt;
}
