import type { LockTimes } from "../../../sql/queries/cron-job-runs.ts";
import type { ScheduleView } from "../../schedule/view.ts";
import { counted, lengthWords } from "../words.ts";
import { type Finding, findings } from "./finding.ts";

const { ok, warn } = findings("crons");

/** What an overlap lock is good for. */
export interface LockView {
  readonly queue: string;
  readonly schedule: string;
  readonly lockTtlMs: number;
}

/** The locks that schedules rely on: none where runs may overlap. */
export function locksOf(views: readonly ScheduleView[]): LockView[] {
  return views.flatMap(({ queue, schedule, definition: { content } }) =>
    content.overlap === "allow" ? [] : [{ queue, schedule, lockTtlMs: content.lockTtlMs }],
  );
}

/** Schedules whose runs outlive their overlap lock, as their history has it: then the next may start beside them. And those that fire nowhere. Pure. */
export function checkCrons(views: readonly ScheduleView[], overrunning: readonly LockTimes[]): Finding[] {
  const locks = locksOf(views);
  const found = overrunning.flatMap((times) => {
    const lock = locks.find(({ queue, schedule }) => queue === times.queue && schedule === times.schedule);
    return lock === undefined ? [] : [tooShort(lock, times)];
  });
  found.push(...views.flatMap(stuck));
  if (views.length === 0 || found.length > 0) return found;
  return [ok(`${counted(views.length, "schedule")}, none of whose latest runs outlived its lock`)];
}

function tooShort({ schedule, lockTtlMs }: LockView, { runCount, overCount, longestMs, usualMs }: LockTimes): Finding {
  const lengths = `19 of 20 take up to ${lengthWords(usualMs)}, the longest took ${lengthWords(longestMs)}`;
  return warn(
    `lockTtl of "${schedule}" is ${lengthWords(lockTtlMs)}, and ${overCount} of its latest ${counted(runCount, "run")} took longer: ${lengths}`,
    `Raise lockTtl to ${lengthWords(roomy(longestMs))} or more, or call run.extend() while there is progress: a run that outlives its lock may meet the next one.`,
  );
}

/** A move to another queue takes moments: whoever made it has broken off, and schedulers bring it to its end. */
function stuck({ schedule, queue, definition: { leavingTo } }: ScheduleView): Finding[] {
  if (leavingTo === undefined) return [];
  const what = `"${schedule}" is on its way from queue ${queue} to ${leavingTo}, and fires nowhere`;
  return [warn(what, "Schedulers bring it there within a minute. If that stays so, none is at work: start one.")];
}

/** Half as much again, in whole minutes. */
function roomy(longestMs: number): number {
  return Math.ceil((longestMs * 1.5) / 60_000) * 60_000;
}
