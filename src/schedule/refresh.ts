import { confirmDeclared, readSchedules } from "../../streams/cron.ts";
import { type Lane, registerQueue } from "../../streams/lane.ts";
import { declare } from "./declare.ts";
import { findElsewhere } from "./move.ts";
import { DECLARED_FOR_MS } from "./reconcile.ts";
import type { Schedule, SchedulerDeps } from "./schedule.ts";

/** A schedule that was declared longer ago than this is declared anew: of many schedulers, the first to see it does so for all. */
const DECLARE_AGAIN_MS = DECLARED_FOR_MS / 4;

/** How long Redis may take to answer, in ms. */
const ANSWER_MS = 3_000;

/**
 * Reads how all schedules stand, learns what time it is in Redis by the way, and declares what is new, was changed, or has not been
 * declared for a while. Throws CallFailed.
 */
export async function refresh(deps: SchedulerDeps): Promise<void> {
  const lanes = Map.groupBy(deps.schedules, ({ lane }) => lane);
  for (const [lane, schedules] of lanes) await refreshLane(deps, lane, schedules);
  deps.bell.ring();
}

async function refreshLane(deps: SchedulerDeps, lane: Lane, schedules: readonly Schedule[]): Promise<void> {
  const limits = () => ({ deadline: performance.now() + ANSWER_MS });
  const before = schedules.map(({ changeCount }) => changeCount);
  const read = await readSchedules(lane, namesOf(schedules), limits());
  const strange = schedules.filter((_, index) => read[index]?.definition === undefined);
  if (strange.length > 0) await registerQueue(lane.redis, lane.namespace, lane.queue); // Redis may have been emptied since
  const elsewhere = await findElsewhere(lane, namesOf(strange), limits());
  const toConfirm: string[] = [];
  for (const [index, schedule] of schedules.entries()) {
    const kept = read[index];
    // What is being fired, or was fired since it was read, is known better than it was read.
    if (kept === undefined || schedule.isBusy || schedule.changeCount !== before[index]) continue;
    const found = { kept, elsewhere: elsewhere.get(schedule.name), limits: limits() };
    const isAgreed = await declare(deps, schedule, found);
    if (isAgreed && deps.now() - (kept.seenAt ?? 0) > DECLARE_AGAIN_MS) toConfirm.push(schedule.name);
  }
  await confirmDeclared(lane, toConfirm);
}

function namesOf(schedules: readonly Schedule[]): string[] {
  return schedules.map(({ name }) => name);
}
