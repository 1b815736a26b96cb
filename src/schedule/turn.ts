import { readSchedules } from "../../streams/cron.ts";
import { pause } from "../../streams/lane.ts";
import type { HeldLock, Taking } from "../../streams/locks.ts";
import { adopt, type FiringDeps, type Schedule } from "./schedule.ts";

/** How long a firing lock lives, in ms: a holder that dies delays no slot by more. */
export const FIRING_TTL_MS = 1_000;
/** How long a scheduler defers to the one that holds the lock, in ms. */
export const PATIENCE_MS = 1_000;
const FIRST_LOOK_MS = 25;

/** Whether it is for this scheduler to fire. `passed`: another one has done it. */
export type Turn = { readonly kind: "ours"; readonly lock: HeldLock | undefined } | { readonly kind: "passed" };

/**
 * Takes the lock that spares other schedulers the work of firing. Refused, it looks again until the slot has been fired; after a second
 * it is fired regardless of the lock, as it is when the lock cannot be asked for: that a slot fires once rests on `fire` and not on this.
 */
export async function takeTurn(deps: FiringDeps, schedule: Schedule): Promise<Turn> {
  const until = deps.elapsed() + PATIENCE_MS;
  const before = schedule.known;
  for (let waitMs = FIRST_LOOK_MS; ; waitMs *= 2) {
    const left = until - deps.elapsed();
    if (deps.locks === undefined || left <= 0) return { kind: "ours", lock: undefined };
    const taking = await take(deps, schedule, left);
    if (taking === undefined) return { kind: "ours", lock: undefined };
    if (taking.isTaken) return { kind: "ours", lock: taking.lock };
    await pause(Math.min(waitMs, Math.max(1, until - deps.elapsed())));
    await look(deps, schedule);
    if (schedule.known !== before) return { kind: "passed" };
  }
}

/** Undefined: whether the lock is free could not be found out in time. */
async function take(
  { locks, incarnation }: FiringDeps,
  schedule: Schedule,
  atMostMs: number,
): Promise<Taking | undefined> {
  const { lane, name } = schedule;
  const asked = locks?.take(lane.keys.firing(name), incarnation, FIRING_TTL_MS).catch(() => undefined);
  const gaveUp = new AbortController();
  const late = pause(atMostMs, gaveUp.signal).then(() => undefined);
  try {
    return await Promise.race([asked, late]);
  } finally {
    gaveUp.abort();
  }
}

/** Reads where the schedule stands. Redis that does not answer is for `fire` to meet. */
async function look({ now }: FiringDeps, schedule: Schedule): Promise<void> {
  const limits = { deadline: performance.now() + PATIENCE_MS };
  const [kept] = await readSchedules(schedule.lane, [schedule.name], limits).catch(() => []);
  if (kept !== undefined) adopt(schedule, { definition: kept.definition, standing: kept }, now());
}
