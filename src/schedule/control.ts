import { declareSchedule } from "../../streams/cron.ts";
import type { EventDraft } from "../../streams/events.ts";
import { invalidOption, redisUnavailable } from "../errors.ts";
import { type Definition, writeDefinition } from "./definition.ts";
import { findSchedule, findSchedules, isInCode, type Limits, type ManageParts, type ReadSchedule } from "./find.ts";
import { leave } from "./move.ts";

/** What becomes of a schedule, and the event that tells of it. */
interface Change {
  /** Undefined removes it. */
  readonly definition: Definition | undefined;
  readonly type: "schedule.paused" | "schedule.resumed" | "schedule.removed";
}

/** Stops a schedule from firing, from now on. False when it is paused already. Throws ScheduleUnknown. */
export function pauseSchedule(parts: ManageParts, id: string, limits: Limits): Promise<boolean> {
  return change(parts, id, { limits }, ({ definition, lane }) => {
    if (definition.pausedAt !== undefined) return undefined;
    return { definition: { ...definition, pausedAt: Math.round(lane.clock.now()) }, type: "schedule.paused" };
  });
}

/** Lets a schedule go on. What passed during the pause is for its misfire policy. False when it is not paused. Throws ScheduleUnknown. */
export function resumeSchedule(parts: ManageParts, id: string, limits: Limits): Promise<boolean> {
  return change(parts, id, { limits }, ({ definition: { pausedAt, ...definition }, lane }) => {
    if (pausedAt === undefined) return undefined;
    const pause = { from: pausedAt, until: Math.round(lane.clock.now()) };
    return { definition: { ...definition, pause }, type: "schedule.resumed" };
  });
}

/** Removes a schedule with all that is kept of it. Throws ScheduleUnknown, InvalidOption for one that the code of schedulers declares. */
export async function removeSchedule(parts: ManageParts, id: string, limits: Limits): Promise<boolean> {
  const all = await findSchedules(parts, id, limits);
  const leftovers = all.filter(({ definition }) => all.length > 1 && definition?.leavingTo !== undefined);
  for (const leftover of leftovers) await leave(leftover, id, limits); // else schedulers would bring the move to its end
  return change(parts, id, { limits }, (found) => {
    if (!isInCode(found)) return { definition: undefined, type: "schedule.removed" };
    throw invalidOption(
      "id",
      `"${id}" is a cron() in the code of schedulers, which declare it again: take it out there, or pause it`,
    );
  });
}

async function change(
  parts: ManageParts,
  id: string,
  { limits }: { readonly limits: Limits },
  decide: (found: ReadSchedule) => Change | undefined,
): Promise<boolean> {
  do {
    const found = await findSchedule(parts, id, limits);
    const change = decide(found);
    if (change === undefined) return false;
    const { lane, kept } = found;
    const events: EventDraft[] = [{ type: change.type, schedule: id, task: found.definition.content.task }];
    const definition = change.definition === undefined ? undefined : writeDefinition(change.definition);
    const declaring = { schedule: id, known: kept.definition, definition, events, seen: "same" } as const;
    const { isWritten } = await declareSchedule(lane, declaring, limits);
    if (!isWritten) continue;
    parts.announce({ kind: "events.recorded", queue: lane.queue, events });
    return true;
  } while (performance.now() < limits.deadline);
  throw redisUnavailable(parts.enqueueTimeoutMs(), new Error(`others kept changing schedule "${id}"`));
}
