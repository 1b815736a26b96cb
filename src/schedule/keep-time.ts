import { reconnectDelayMs } from "../../streams/connect.ts";
import { fireDue } from "./fire.ts";
import type { Schedule, SchedulerDeps } from "./schedule.ts";
import type { Due } from "./turn.ts";

/** The longest sleep, in ms: a machine that was suspended notices soon after. */
const LONGEST_SLEEP_MS = 5_000;

/** What a firing loop asks about the state of things. */
export interface TimeDeps extends SchedulerDeps {
  /** False while it is not known what time it is in Redis. Then it is asked for, and the bell is rung. */
  readonly isCurrent: () => boolean;
}

/** Fires slots as they fall due, those of a lane together, until aborted: sleeps until the next one. Returns once what is being fired is done. */
export async function keepTime(deps: TimeDeps, signal: AbortSignal): Promise<void> {
  const firing = new Set<Promise<void>>();
  while (!signal.aborted) {
    const due = deps.isCurrent() ? dueNow(deps.schedules, deps.now()) : [];
    for (const [lane, schedules] of Map.groupBy(due, (one) => one.lane)) {
      const work: Promise<void> = attend(deps, { lane, schedules }).finally(() => {
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

/** Until the next slot. */
function sleepMs({ schedules, now }: SchedulerDeps): number {
  const nowMs = now();
  let next = nowMs + LONGEST_SLEEP_MS;
  for (const { isBusy, dueAt } of schedules) if (!isBusy && dueAt !== undefined && dueAt < next) next = dueAt;
  return next > nowMs ? next - nowMs : LONGEST_SLEEP_MS;
}

/** Fires what schedules owe. Redis away or full: later again, as the misfire policy then has it. */
async function attend(deps: SchedulerDeps, due: Due): Promise<void> {
  for (const schedule of due.schedules) schedule.isBusy = true;
  const unfired = await fireDue(deps, due).catch((error: unknown) => {
    return due.schedules.map((schedule) => ({ schedule, error }));
  });
  for (const schedule of due.schedules) schedule.isBusy = false;
  const failed = new Set(unfired.map(({ schedule }) => schedule));
  for (const schedule of due.schedules) if (!failed.has(schedule)) schedule.failureCount = 0;
  for (const { schedule } of unfired) {
    schedule.failureCount += 1;
    schedule.dueAt = deps.now() + reconnectDelayMs(schedule.failureCount);
  }
  const fresh = unfired.filter(({ schedule }) => schedule.failureCount === 1);
  const [first] = fresh;
  if (first === undefined) return;
  const facts = { schedule: first.schedule.name, ...(fresh.length === 1 ? {} : { others: fresh.length - 1 }) };
  deps.announce({ kind: "problem", what: "a slot could not be fired yet", error: first.error, facts });
}
