import { declareSchedule, type KeptSchedule, readSchedules } from "../../streams/cron.ts";
import type { CallLimits } from "../../streams/lane.ts";
import {
  type Definition,
  endedPattern,
  hashOf,
  readDefinition,
  type ScheduleContent,
  upserted,
  writeDefinition,
} from "./definition.ts";
import { fireDue } from "./fire.ts";
import { type Elsewhere, leave, moved } from "./move.ts";
import { reconcile } from "./reconcile.ts";
import { adopt, type FiringDeps, type Schedule, type SchedulerDeps } from "./schedule.ts";

/** A schedule that this process has in its code. */
export type OwnSchedule = Schedule & { readonly own: ScheduleContent };

/** What was read of a schedule. */
export interface Found {
  readonly kept: KeptSchedule;
  /** What another queue keeps of it, looked for when its own keeps nothing. */
  readonly elsewhere: Elsewhere | undefined;
  readonly limits: CallLimits;
}

/**
 * Brings a schedule and what Redis keeps of it together: it is declared where it is new or has been changed, and adopted where it is not.
 * True when it stands there as this process declares it. Throws CallFailed.
 */
export async function declare(deps: SchedulerDeps, schedule: OwnSchedule, found: Found): Promise<boolean> {
  const { kept, elsewhere, limits } = found;
  const now = deps.now();
  const reconciled = reconcile(schedule.own, kept, now);
  if (reconciled.kind !== "write") {
    const definition = reconciled.kind === "unreadable" ? undefined : kept.definition;
    adopt(schedule, { definition, standing: kept }, now);
    return reconciled.kind === "agreed";
  }
  if (elsewhere === undefined) {
    await settleDebts(deps, schedule, kept);
    return write(deps, schedule, { kept, definition: reconciled.definition, limits });
  }
  const here = moved(deps, schedule, { content: schedule.own, elsewhere });
  if (here === undefined) return false;
  const writing = { kept: { ...kept, ...here.standing, definition: undefined }, definition: here.definition, limits };
  const isOurs = await write(deps, schedule, writing);
  await leave(elsewhere, schedule.name, limits);
  return isOurs;
}

/** Most rounds of settling: each but the first is one that another scheduler was faster in. */
const ROUNDS = 3;

/**
 * Does what the definition that is about to be replaced still owes: whether the slot of a minute ago fires is not to hang on
 * whether the scheduler of the version before was still up.
 */
export async function settleDebts(deps: FiringDeps, schedule: Schedule, kept: KeptSchedule): Promise<void> {
  if (kept.definition === undefined) return;
  adopt(schedule, { definition: kept.definition, standing: kept }, deps.now());
  for (let round = 0; round < ROUNDS; round += 1) {
    const now = deps.now();
    if (schedule.dueAt === undefined || schedule.dueAt > now) return;
    const [unfired] = await fireDue(deps, { lane: schedule.lane, schedules: [schedule] });
    if (unfired !== undefined) throw unfired.error;
  }
}

/** What is written, over what was read. */
interface Writing {
  readonly kept: KeptSchedule;
  readonly definition: Definition;
  readonly limits: CallLimits;
}

async function write(
  deps: SchedulerDeps,
  schedule: OwnSchedule,
  { kept, definition, limits }: Writing,
): Promise<boolean> {
  const { name, lane } = schedule;
  const text = writeDefinition(definition);
  const declaring = {
    schedule: name,
    known: kept.definition,
    definition: text,
    events: [upserted(name, definition)],
    endedPattern: endedPattern(readDefinition(kept.definition), definition),
    standing: kept.definition === undefined ? kept : undefined,
  };
  const answer = await declareSchedule(lane, declaring, limits);
  if (answer.isWritten) {
    deps.announce({ kind: "events.recorded", queue: lane.queue, events: declaring.events });
    adopt(schedule, { definition: text, standing: kept }, deps.now());
    return true;
  }
  // Another scheduler was faster. What it wrote is ours, or newer than ours, or will be found to be older when it is read next.
  const [again] = await readSchedules(lane, [name], limits);
  if (again === undefined) return false;
  adopt(schedule, { definition: again.definition, standing: again }, deps.now());
  return readDefinition(again.definition)?.hash === hashOf(schedule.own);
}
