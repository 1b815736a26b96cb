import { declareSchedule, type KeptSchedule, readSchedules } from "../../streams/cron.ts";
import { type CallLimits, type Lane, listQueues, newIncarnation, openLane } from "../../streams/lane.ts";
import { changed, type Definition, endedPattern, readDefinition, type ScheduleContent } from "./definition.ts";
import { isDeclared } from "./reconcile.ts";
import type { Schedule, SchedulerDeps } from "./schedule.ts";
import { endStretch } from "./stretches.ts";

/** What another queue keeps of a schedule whose task was in it before. */
export interface Elsewhere {
  readonly lane: Lane;
  readonly kept: KeptSchedule;
}

/** Looks for schedules in the other queues of the namespace. */
export async function findElsewhere(
  { redis, namespace, queue, clock }: Lane,
  names: readonly string[],
  limits: CallLimits,
): Promise<ReadonlyMap<string, Elsewhere>> {
  const found = new Map<string, Elsewhere>();
  const others = names.length === 0 ? [] : await listQueues(redis, namespace);
  for (const other of others.filter((one) => one !== queue)) {
    const lane = openLane({ redis, namespace, queue: other, incarnation: newIncarnation(), clock });
    for (const [index, kept] of (await readSchedules(lane, names, limits)).entries()) {
      if (kept.definition !== undefined) found.set(names[index] as string, { lane, kept });
    }
  }
  return found;
}

/**
 * What a schedule becomes that moves here: it goes on from its last slot. Undefined while schedulers of an older version
 * still fire it where it was: two queues would make two runs of a slot.
 */
export function moved(
  deps: SchedulerDeps,
  { name, lane }: Schedule,
  { content, elsewhere }: { readonly content: ScheduleContent; readonly elsewhere: Elsewhere },
): { readonly definition: Definition; readonly standing: KeptSchedule } | undefined {
  const { kept } = elsewhere;
  const now = deps.now();
  if (!isDeclared(kept, now)) {
    const before = readDefinition(kept.definition);
    const definition = changed({ content, before, nowMs: now, source: "declared" });
    const pattern = endedPattern(before, definition);
    return { definition, standing: pattern === undefined ? kept : endStretch(kept, pattern) };
  }
  const facts = { schedule: name, from: elsewhere.lane.queue, to: lane.queue };
  deps.announce({ kind: "problem", what: "a schedule still fires in the queue that it is to leave: it waits", facts });
  return undefined;
}

/** Takes a schedule that has moved out of the queue that it came from. */
export async function leave({ lane, kept }: Elsewhere, schedule: string, limits: CallLimits): Promise<void> {
  await declareSchedule(lane, { schedule, known: kept.definition, definition: undefined, events: [] }, limits);
}
