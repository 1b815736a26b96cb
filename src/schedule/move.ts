import { declareSchedule, type KeptSchedule, readSchedules } from "../../streams/cron.ts";
import type { EventDraft } from "../../streams/events.ts";
import { type CallLimits, type Lane, listQueues, newIncarnation, openLane } from "../../streams/lane.ts";
import {
  changed,
  type Definition,
  endedPattern,
  readDefinition,
  type ScheduleContent,
  upserted,
  writeDefinition,
} from "./definition.ts";
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

/** A schedule that has been stopped where it was. */
export interface Arriving {
  readonly schedule: string;
  readonly content: ScheduleContent;
  readonly from: Elsewhere;
  readonly to: Lane;
}

/** Lets a schedule that was made at run time go on in another queue from its last slot. Gives what is recorded of it; undefined: another process was faster. */
export async function arrive(
  { schedule, content, from: { kept }, to }: Arriving,
  limits: CallLimits,
): Promise<EventDraft<"schedule.upserted">[] | undefined> {
  const before = readDefinition(kept.definition);
  const definition = changed({ content, before, nowMs: to.clock.now(), source: "run_time" });
  const pattern = endedPattern(before, definition);
  const events = [upserted(schedule, definition)];
  const declaring = {
    schedule,
    known: undefined,
    definition: writeDefinition(definition),
    events,
    seen: "none",
    standing: pattern === undefined ? kept : endStretch(kept, pattern),
  } as const;
  return (await declareSchedule(to, declaring, limits)).isWritten ? events : undefined;
}

/** How long a move may take, in ms: after that, whoever began it has broken off. */
const MOVES_WITHIN_MS = 15_000;

/**
 * Brings a move to its end that has broken off half-way: the schedule does there what it was to do there. Gives the queue that it has come to;
 * undefined: nothing was to be done, or another process does it. Throws CallFailed.
 */
export async function finishMove(
  deps: Pick<SchedulerDeps, "announce" | "now"> & { readonly laneOf: (queue: string) => Lane },
  { schedule, lane, kept: { definition: text } }: Elsewhere & { readonly schedule: string },
  limits: CallLimits,
): Promise<Lane | undefined> {
  const leaving = readDefinition(text);
  const now = deps.now();
  if (leaving?.leavingTo === undefined || now - (leaving.leavingAt ?? 0) < MOVES_WITHIN_MS) return undefined;
  // Noted first, so that of several schedulers one does it, and whoever upserts it meanwhile begins anew.
  const claim = writeDefinition({ ...leaving, leavingAt: now });
  const claiming = { schedule, known: text, definition: claim, events: [], seen: "same" } as const;
  if (!(await declareSchedule(lane, claiming, limits)).isWritten) return undefined;
  const to = deps.laneOf(leaving.leavingTo);
  const [[kept], [there]] = await Promise.all([
    readSchedules(lane, [schedule], limits),
    readSchedules(to, [schedule], limits),
  ]);
  if (kept?.definition !== claim) return undefined;
  const from = { lane, kept };
  if (there?.definition === undefined) {
    const content = leaving.arriving ?? leaving.content;
    const events = await arrive({ schedule, content, from, to }, limits);
    if (events !== undefined) deps.announce({ kind: "events.recorded", queue: to.queue, events });
  }
  await leave(from, schedule, limits);
  return to;
}
