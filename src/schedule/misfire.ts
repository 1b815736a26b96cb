import type { Standing } from "../../streams/schedules.ts";
import type { NextSlots } from "../define/pattern.ts";
import type { CronRecord } from "../define/task.ts";
import { type DueAt, newestIn, type Range, slotsIn } from "./slots.ts";

/** A slot that is acted on within this of being due, in ms, is on time whatever the policy: a deploy or a failover is no misfire. */
export const ON_TIME_MS = 60_000;

/** Most slots that are fired at once. */
export const MOST_AT_ONCE = 1_000;

/** Most missed slots that are counted: some ten weeks of a slot a minute, in some 50 ms. */
export const MOST_COUNTED = 100_000;

/** What decides over late slots. */
export type MisfireRules = Pick<
  CronRecord,
  "misfire" | "catchUpMs" | "jitterMs" | "startsAtMs" | "endsAtMs" | "maxRuns"
>;

/** A schedule as a decision needs it. Instants in ms. */
export interface Situation {
  readonly rules: MisfireRules;
  readonly standing: Standing;
  /** Since when the pattern holds: no slot up to then was ever one. */
  readonly changedAt: number;
  /** The latest pause that is over. */
  readonly pause?: { readonly from: number; readonly until: number } | undefined;
  readonly slots: NextSlots;
  readonly dueAt: DueAt;
}

/** A slot to be fired. */
export interface DueSlot {
  readonly slot: number;
  readonly trigger: "schedule" | "catch_up";
}

/** Slots that will not fire: from `slot` to `until`, both included. */
export interface MissedSlots {
  readonly slot: number;
  readonly until: number;
  readonly count: number;
  /** True when counting was given up: there are `count` or more. */
  readonly isAtLeast: boolean;
  /** `paused`: it was then. `window`: older than `catchUp`. `cap`: more than are fired at once. Else the policy that let them go. */
  readonly reason: "paused" | "window" | "cap" | "misfire_skip" | "misfire_fire_once";
}

/** What a schedule has to do now. Missed slots lie before those that fire. */
export interface Plan {
  readonly missed: readonly MissedSlots[];
  readonly fire: readonly DueSlot[];
  /** When it next has something to do; undefined: never again. */
  readonly nextDueAt: number | undefined;
}

/**
 * What to do about the slots since the last one, by the schedule's misfire policy. Pure; takes some milliseconds however long ago the last slot was.
 *
 * A schedule that never fired starts from when it was declared, and one whose pattern was changed from the change:
 * what lies before was never promised.
 */
export function decide(nowMs: number, situation: Situation): Plan {
  const { rules, standing, slots, dueAt } = situation;
  const { maxRuns = Number.POSITIVE_INFINITY, endsAtMs = Number.POSITIVE_INFINITY } = rules;
  const runsLeft = maxRuns - standing.firedCount;
  if (runsLeft <= 0) return { missed: [], fire: [], nextDueAt: undefined };

  const since = startOf(situation);
  const until = Math.min(nowMs, endsAtMs);
  const windowStart = Math.max(since, nowMs - Math.max(rules.catchUpMs, ON_TIME_MS) - rules.jitterMs);
  const most = rules.misfire === "fire_all" ? MOST_AT_ONCE : NEWEST;
  const due = until <= since ? [] : newestIn(slots, { after: Math.min(windowStart, until), until }, most + 1);
  const yetToCome = due.findIndex((slot) => dueAt(slot) > nowMs);
  const passed = (yetToCome < 0 ? due : due.slice(0, yetToCome)).slice(-most);

  const fire = chosen(passed, nowMs, situation).slice(0, runsLeft);
  const firstKept = fire[0]?.slot ?? (yetToCome < 0 ? until + 1 : (due[yetToCome] as number));
  const missed = missedBefore(firstKept, { since, windowStart }, situation);
  const reached = fire.at(-1)?.slot ?? missed.at(-1)?.until ?? since;
  return { missed, fire, nextDueAt: fire.length < runsLeft ? nextDue(reached, situation) : undefined };
}

/** Slots are a minute apart at least, and jitter ends before the next one: no more than two can be on time together. */
const NEWEST = 2;

/** What tells how far slots have been decided on. */
interface Decided extends Pick<Situation, "standing" | "changedAt"> {
  readonly rules: Pick<MisfireRules, "startsAtMs">;
}

/** The instant up to which there is nothing to do. */
export function startOf({ rules, standing, changedAt }: Decided): number {
  const { last = Number.NEGATIVE_INFINITY } = standing;
  const { startsAtMs = Number.NEGATIVE_INFINITY } = rules;
  return Math.max(last, changedAt, startsAtMs - 1);
}

function chosen(passed: readonly number[], nowMs: number, { rules, dueAt }: Situation): DueSlot[] {
  const all = passed.map((slot): DueSlot => {
    const isOnTime = nowMs - dueAt(slot) < ON_TIME_MS;
    return { slot, trigger: isOnTime ? "schedule" : "catch_up" };
  });
  // Those that come all at once are one catching up: the newest is no more to be skipped for the others than they are.
  if (rules.misfire === "fire_all")
    return all.length === 1 ? all : all.map(({ slot }) => ({ slot, trigger: "catch_up" }));
  const onTime = all.filter(({ trigger }) => trigger === "schedule");
  return onTime.length > 0 || rules.misfire === "skip" ? onTime : all.slice(-1);
}

function missedBefore(
  firstKept: number,
  { since, windowStart }: { readonly since: number; readonly windowStart: number },
  { rules, slots, pause }: Situation,
): MissedSlots[] {
  const until = firstKept - 1;
  const edge = Math.min(windowStart, until);
  const late = rules.misfire === "fire_all" ? "cap" : (`misfire_${rules.misfire}` as const);
  const { from: asleep, until: awake } = pause ?? { from: Number.POSITIVE_INFINITY, until: Number.POSITIVE_INFINITY };
  // A slot of the very moment of the pause was due before it, and one of the moment of its end after it.
  const edges = edge > asleep && edge < awake - 1 ? [asleep, awake - 1] : [edge, asleep, awake - 1];
  const bounds = edges.filter((bound) => bound > since && bound < until).sort((a, b) => a - b);
  const reasonOf = (slot: number): MissedSlots["reason"] => {
    if (slot > asleep && slot < awake) return "paused";
    return slot <= edge ? "window" : late;
  };
  return [...bounds, until].flatMap((bound, index) => {
    const after = bounds[index - 1] ?? since;
    return missedIn(slots, { after, until: bound }, reasonOf(bound));
  });
}

function missedIn(slots: NextSlots, range: Range, reason: MissedSlots["reason"]): MissedSlots[] {
  const counted = slotsIn(slots, range, MOST_COUNTED);
  const [slot] = counted;
  if (slot === undefined) return [];
  const newest = counted.length < MOST_COUNTED ? counted : newestIn(slots, range, 1);
  const until = newest.at(-1) as number;
  return [{ slot, until, count: counted.length, isAtLeast: until !== counted.at(-1), reason }];
}

function nextDue(reached: number, { rules, slots, dueAt }: Situation): number | undefined {
  const next = slots(reached, 1)[0];
  return next === undefined || next > (rules.endsAtMs ?? Number.POSITIVE_INFINITY) ? undefined : dueAt(next);
}
