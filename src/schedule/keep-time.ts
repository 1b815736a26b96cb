import { reconnectDelayMs } from "../../streams/connect.ts";
import { CALLS_IN_FLIGHT } from "../../streams/lane.ts";
import { fireDue } from "./fire.ts";
import type { Schedule, SchedulerDeps } from "./schedule.ts";

/** Schedules that are fired at a time: while some wait for their locks, others have theirs. */
const AT_A_TIME = 4 * CALLS_IN_FLIGHT;

/** The longest sleep, in ms: a machine that was suspended notices soon after. */
const LONGEST_SLEEP_MS = 5_000;

/** What a firing loop asks about the state of things. */
export interface TimeDeps extends SchedulerDeps {
  /** False while it is not known what time it is in Redis. Then it is asked for, and the bell is rung. */
  readonly isCurrent: () => boolean;
}

/** Fires slots as they fall due, until aborted: sleeps until the next one. Returns once what is being fired is done. */
export async function keepTime(deps: TimeDeps, signal: AbortSignal): Promise<void> {
  const firing = new Set<Promise<void>>();
  while (!signal.aborted) {
    const due = deps.isCurrent() ? dueNow(deps.schedules, deps.now()) : [];
    for (const schedule of due.slice(0, AT_A_TIME - firing.size)) {
      const work: Promise<void> = attend(deps, schedule).finally(() => {
        firing.delete(work);
        deps.bell.ring();
      });
      firing.add(work);
    }
    await deps.bell.sleep(sleepMs(deps), signal);
  }
  await Promise.all(firing);
}

/** Schedules that are due and not being fired, longest due first. */
function dueNow(schedules: readonly Schedule[], nowMs: number): Schedule[] {
  const due = schedules.filter(({ isBusy, dueAt }) => !isBusy && dueAt !== undefined && dueAt <= nowMs);
  return due.sort((a, b) => (a.dueAt as number) - (b.dueAt as number));
}

/** Until the next slot. A schedule that is due and has to wait for its turn is come back to when one before it is done. */
function sleepMs({ schedules, now }: SchedulerDeps): number {
  const nowMs = now();
  let next = nowMs + LONGEST_SLEEP_MS;
  for (const { isBusy, dueAt } of schedules) if (!isBusy && dueAt !== undefined && dueAt < next) next = dueAt;
  return next > nowMs ? next - nowMs : LONGEST_SLEEP_MS;
}

/** Fires what a schedule owes. Redis away or full: later again, as the misfire policy then has it. */
async function attend(deps: SchedulerDeps, schedule: Schedule): Promise<void> {
  schedule.isBusy = true;
  try {
    await fireDue(deps, schedule, deps.now());
    schedule.failureCount = 0;
  } catch (error) {
    schedule.failureCount += 1;
    schedule.dueAt = deps.now() + reconnectDelayMs(schedule.failureCount);
    if (schedule.failureCount === 1) {
      deps.announce({
        kind: "problem",
        what: "a slot could not be fired yet",
        error,
        facts: { schedule: schedule.name },
      });
    }
  } finally {
    schedule.isBusy = false;
  }
}
