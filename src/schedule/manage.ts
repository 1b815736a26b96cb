import { scheduleBellKey } from "../../streams/keys.ts";
import type { SchedulePort } from "../define/schedules.ts";
import { triggerSchedule } from "../enqueue/trigger.ts";
import { backfill } from "./backfill.ts";
import { pauseSchedule, removeSchedule, resumeSchedule } from "./control.ts";
import { allLanes, findSchedule, type Limits, type ManageParts, whileHeld } from "./find.ts";
import { lockOf } from "./record-slot.ts";
import { upsert } from "./upsert.ts";
import { toState, viewSchedules } from "./view.ts";

/** The schedules of a broker: what they are asked, and how Redis is told. */
export function createScheduleManager(parts: ManageParts): SchedulePort {
  const limits = () => ({ deadline: performance.now() + parts.enqueueTimeoutMs() });
  const changing = (change: (within: Limits) => Promise<boolean>) => {
    return whileHeld(parts, async (within) => {
      if (await change(within)) await tellSchedulers(parts);
    });
  };
  return {
    upsert: (id, request) => changing((within) => upsert(parts, id, request, within)),
    pause: (id) => changing((within) => pauseSchedule(parts, id, within)),
    resume: (id) => changing((within) => resumeSchedule(parts, id, within)),
    remove: (id) => changing((within) => removeSchedule(parts, id, within)),
    list: () =>
      whileHeld(parts, async (within) => {
        const views = await Promise.all((await allLanes(parts, within)).map((lane) => viewSchedules(lane, within)));
        return views
          .flat()
          .sort((a, b) => (a.schedule < b.schedule ? -1 : 1))
          .map(toState);
      }),
    trigger: (id) =>
      whileHeld(parts, async (within) => {
        const { definition, lane } = await findSchedule(parts, id, within);
        const { task, taskVersion, timezone, input } = definition.content;
        const order = { schedule: id, task, version: taskVersion, timezone, body: input, ...lockOf(definition) };
        const sent = await triggerSchedule(parts, { ...order, queue: lane.queue });
        return parts.handles.ofRun(sent.run, lane.queue);
      }),
    backfill: (id, range) =>
      whileHeld(parts, async () => {
        const runs = await backfill(parts, id, { range, limits });
        return runs.map(({ run, queue }) => parts.handles.ofRun(run, queue));
      }),
  };
}

/** Has schedulers look at once. Best effort: those that hear nothing of it find the change when they look the next time. */
async function tellSchedulers({ ask, namespace }: ManageParts): Promise<void> {
  const key = scheduleBellKey(namespace());
  await ask((redis) => redis.xadd(key, "MAXLEN", "1", "*", "rung", "1")).catch(() => {});
}
