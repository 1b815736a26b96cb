import { readSchedules } from "../../streams/cron.ts";
import { type Lane, pause } from "../../streams/lane.ts";
import type { HeldLock, Taking } from "../../streams/locks.ts";
import { adopt, type FiringDeps, type Schedule } from "./schedule.ts";

/** How long the firing lock lives, in ms: a holder that dies delays no slot by more. */
export const FIRING_TTL_MS = 1_000;
/** How long a scheduler defers to the one that holds the lock, in ms. */
export const PATIENCE_MS = 1_000;
const FIRST_LOOK_MS = 25;

/** What it is for this scheduler to fire. */
export interface Turn {
  /** Those that no other scheduler has moved on meanwhile. */
  readonly ours: readonly Schedule[];
  /** Undefined: it goes without. */
  readonly lock: HeldLock | undefined;
}

/** Schedules of one lane. */
export interface Due {
  readonly lane: Lane;
  readonly schedules: readonly Schedule[];
}

/**
 * Takes the lane's lock, which spares other schedulers the work of firing. Refused, it looks now and then whether the holder has come to
 * the last of them, and tries again for what is left then; after a second it fires regardless of the lock, as it does when the lock cannot
 * be asked for: that a slot fires once rests on `fire` and not on this.
 */
export async function takeTurn(deps: FiringDeps, due: Due): Promise<Turn> {
  const until = deps.elapsed() + PATIENCE_MS;
  let ours = due.schedules;
  for (let waitMs = FIRST_LOOK_MS; ours.length > 0; waitMs *= 2) {
    const left = until - deps.elapsed();
    const taking = deps.locks === undefined || left <= 0 ? undefined : await take(deps, due.lane, left);
    if (taking?.isTaken !== false) {
      if (waitMs > FIRST_LOOK_MS) ours = await unmoved(deps, due.lane, ours);
      return { ours, lock: taking?.lock };
    }
    await pause(Math.min(waitMs, Math.max(1, until - deps.elapsed())));
    const isLastMoved = (await unmoved(deps, due.lane, ours.slice(-1))).length === 0;
    if (isLastMoved) ours = await unmoved(deps, due.lane, ours.slice(0, -1));
  }
  return { ours, lock: undefined };
}

/** Undefined: whether the lock is free could not be found out in time. */
async function take({ locks, incarnation }: FiringDeps, lane: Lane, atMostMs: number): Promise<Taking | undefined> {
  const asked = locks?.take(lane.keys.firing, incarnation, FIRING_TTL_MS).catch(() => undefined);
  const gaveUp = new AbortController();
  const late = pause(atMostMs, gaveUp.signal).then(() => undefined);
  try {
    return await Promise.race([asked, late]);
  } finally {
    gaveUp.abort();
  }
}

/** Reads where the schedules stand, and gives those that stand where they stood. Redis that does not answer is for `fire` to meet. */
async function unmoved({ now }: FiringDeps, lane: Lane, schedules: readonly Schedule[]): Promise<readonly Schedule[]> {
  const limits = { deadline: performance.now() + PATIENCE_MS };
  const names = schedules.map(({ name }) => name);
  const all = await readSchedules(lane, names, limits).catch(() => []);
  return schedules.filter((schedule, index) => {
    const kept = all[index];
    const before = schedule.known;
    if (kept !== undefined) adopt(schedule, { definition: kept.definition, standing: kept }, now());
    return schedule.known === before;
  });
}
