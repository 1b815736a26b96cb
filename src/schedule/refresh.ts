import {
  confirmDeclared,
  type KeptSchedule,
  readLaneSchedules,
  readSchedules,
  scheduleNames,
} from "../../streams/cron.ts";
import { type Lane, registerQueue } from "../../streams/lane.ts";
import { declare, type OwnSchedule } from "./declare.ts";
import { readDefinition } from "./definition.ts";
import { findElsewhere, finishMove, leave } from "./move.ts";
import { DECLARED_FOR_MS, isDeclared } from "./reconcile.ts";
import { adopt, newSchedule, type Schedule, type SchedulerDeps } from "./schedule.ts";

/** A schedule that was declared longer ago than this is declared anew: of many schedulers, the first to see it does so for all. */
const DECLARE_AGAIN_MS = DECLARED_FOR_MS / 4;

/** How long Redis may take to answer, in ms. */
const ANSWER_MS = 3_000;
const limits = () => ({ deadline: performance.now() + ANSWER_MS });

/** What refreshing works with. */
export interface RefreshDeps extends SchedulerDeps {
  /** The queues of the namespace, those of this process' crons first. */
  readonly findQueues: () => Promise<readonly string[]>;
  readonly laneOf: (queue: string) => Lane;
  /** How often definitions had been changed when a queue was last searched for schedules. */
  readonly revisions: Map<string, string>;
  /** Told of a schedule made at run time, as it is met first and whenever it has been changed. */
  readonly met: (schedule: Schedule) => void;
}

/**
 * Reads how all schedules stand, learns what time it is in Redis by the way, declares what is new, was changed, or has not been
 * declared for a while, and takes up what was made at run time. Throws CallFailed.
 */
export async function refresh(deps: RefreshDeps): Promise<void> {
  const arrived = new Set<Lane>();
  for (const queue of await deps.findQueues()) await refreshLane(deps, deps.laneOf(queue), arrived);
  for (const lane of arrived) await refreshLane(deps, lane, arrived);
  deps.bell.ring();
}

async function refreshLane(deps: RefreshDeps, lane: Lane, arrived: Set<Lane>): Promise<void> {
  const schedules = deps.schedules.filter((one) => one.lane === lane);
  const before = schedules.map(({ changeCount }) => changeCount);
  const { kept, revision } = await readLaneSchedules(lane, namesOf(schedules), limits());
  // What is being fired, or was fired since it was read, is known better than it was read.
  const read = schedules.flatMap((schedule, index) => {
    const isNewer = schedule.isBusy || schedule.changeCount !== before[index];
    return isNewer ? [] : [{ schedule, kept: kept[index] as KeptSchedule }];
  });
  await declareOwn(deps, lane, read.filter(isOwn));
  for (const one of read) if (one.schedule.own === undefined) await follow(deps, one, arrived);
  if (revision === deps.revisions.get(lane.queue)) return;
  const known = new Set(namesOf(schedules));
  const strangers = (await scheduleNames(lane)).filter((name) => !known.has(name));
  let isSettled = true;
  for (const [index, kept] of (await readSchedules(lane, strangers, limits())).entries()) {
    const schedule = newSchedule({ name: strangers[index] as string, own: undefined, lane });
    if (isLeftBehind(deps, { schedule, kept })) isSettled = (await clearAway(deps, { schedule, kept })) && isSettled;
    else await follow(deps, { schedule, kept }, arrived);
  }
  if (isSettled) deps.revisions.set(lane.queue, revision);
}

interface Read<S extends Schedule = Schedule> {
  readonly schedule: S;
  readonly kept: KeptSchedule;
}

function isOwn(read: Read): read is Read<OwnSchedule> {
  return read.schedule.own !== undefined;
}

async function declareOwn(deps: RefreshDeps, lane: Lane, read: readonly Read<OwnSchedule>[]): Promise<void> {
  const strange = read.filter(({ kept }) => kept.definition === undefined).map(({ schedule }) => schedule);
  if (strange.length > 0) await registerQueue(lane.redis, lane.namespace, lane.queue); // Redis may have been emptied since
  const elsewhere = await findElsewhere(lane, namesOf(strange), limits());
  const toConfirm: string[] = [];
  for (const { schedule, kept } of read) {
    const found = { kept, elsewhere: elsewhere.get(schedule.name), limits: limits() };
    const isAgreed = await declare(deps, schedule, found);
    if (isAgreed && deps.now() - (kept.seenAt ?? 0) > DECLARE_AGAIN_MS) toConfirm.push(schedule.name);
  }
  await confirmDeclared(lane, toConfirm);
}

/** Takes up a schedule that was made at run time; one that was stopped on its way to another queue is brought there. */
async function follow(deps: RefreshDeps, { schedule, kept }: Read, arrived: Set<Lane>): Promise<void> {
  const to = await finishMove(deps, { schedule: schedule.name, lane: schedule.lane, kept }, limits());
  takeUp(deps, schedule, to === undefined ? kept : { ...kept, definition: undefined });
  if (to !== undefined) arrived.add(to);
}

/** True for a schedule that goes on in another queue by now: whoever declared it there has broken off before it was taken out of this one. */
function isLeftBehind({ schedules }: RefreshDeps, { schedule: { name, lane }, kept }: Read): boolean {
  if (readDefinition(kept.definition)?.source !== "declared") return false;
  return schedules.some(
    (one) => one.name === name && one.own !== undefined && one.known !== undefined && one.lane !== lane,
  );
}

/** Takes out what was left behind. False while schedulers of an older version may still have it in their code: it is looked at again. */
async function clearAway(deps: RefreshDeps, { schedule, kept }: Read): Promise<boolean> {
  if (isDeclared(kept, deps.now())) return false;
  await leave({ lane: schedule.lane, kept }, schedule.name, limits());
  return true;
}

/** Goes by what Redis keeps of a schedule that nobody's code declares, and lets go of it once that is no longer so. */
function takeUp(deps: RefreshDeps, schedule: Schedule, kept: KeptSchedule): void {
  const { schedules } = deps;
  const index = schedules.indexOf(schedule);
  if (readDefinition(kept.definition)?.source !== "run_time") {
    if (index >= 0) schedules.splice(index, 1);
    return;
  }
  if (index < 0) schedules.push(schedule);
  const before = schedule.known?.text;
  adopt(schedule, { definition: kept.definition, standing: kept }, deps.now());
  if (schedule.known !== undefined && schedule.known.text !== before) deps.met(schedule);
}

function namesOf(schedules: readonly Schedule[]): string[] {
  return schedules.map(({ name }) => name);
}
