import { declareSchedule } from "../../streams/cron.ts";
import { type Lane, registerQueue } from "../../streams/lane.ts";
import { encodeInput } from "../define/payload.ts";
import type { ScheduleRequest } from "../define/schedules.ts";
import { sendHooks } from "../enqueue/around-send.ts";
import { invalidOption, redisUnavailable } from "../errors.ts";
import { settleDebts } from "./declare.ts";
import {
  changed,
  type Definition,
  endedPattern,
  hashOf,
  type ScheduleContent,
  upserted,
  versionOf,
  writeDefinition,
} from "./definition.ts";
import { findSchedules, isInCode, type Limits, type ManageParts, type ReadSchedule, readable } from "./find.ts";
import { arrive, leave } from "./move.ts";
import { newSchedule } from "./schedule.ts";

/**
 * Makes or replaces a schedule, in the queue of its task. As often as another process is faster it is thought over again, until the deadline.
 * False when it stood there as it is.
 */
export async function upsert(
  parts: ManageParts,
  id: string,
  request: ScheduleRequest,
  limits: Limits,
): Promise<boolean> {
  const content = await contentOf(request, parts.maxPayloadBytes());
  const { queue } = request.task;
  const { lane } = await parts.lanes.open(queue, limits.deadline);
  await parts.ask((redis) => registerQueue(redis, lane.namespace, queue)); // where schedulers look
  do {
    const found = (await findSchedules(parts, id, limits)).map((one) => readable(id, one));
    if (found.some(isInCode)) {
      throw invalidOption(
        "id",
        `"${id}" is a cron() in the code of schedulers, which declare it again: give it another id`,
      );
    }
    const here = found.find((one) => one.lane.queue === queue);
    const elsewhere = found.find((one) => one.lane.queue !== queue);
    if (here === undefined && elsewhere !== undefined) {
      if (await moveHere(parts, { id, content, lane, elsewhere }, limits)) return true;
      continue;
    }
    if (elsewhere !== undefined) await leave(elsewhere, id, limits); // a move that broke off had come as far as that
    const { definition } = here ?? {};
    if (definition?.source === "run_time" && definition.hash === hashOf(content) && definition.leavingTo === undefined)
      return false;
    if (here !== undefined) await settle(parts, id, here);
    if (await write(parts, { id, content, lane, before: here }, limits)) return true;
  } while (performance.now() < limits.deadline);
  throw redisUnavailable(parts.enqueueTimeoutMs(), new Error(`others kept changing schedule "${id}"`));
}

/** What a schedule is to do, with its input as it travels. Throws InvalidInput, NotJson, TooLarge. */
export async function contentOf({ task, cron, input }: ScheduleRequest, maxBytes: number): Promise<ScheduleContent> {
  const { json } = await encodeInput(task, input, maxBytes);
  return { task: task.name, ...versionOf(task.version), ...(json === "" ? {} : { input: json }), ...cron };
}

/** Does what the content that is about to be replaced still owes, as its own policy has it. */
async function settle(parts: ManageParts, id: string, { lane, kept, definition }: ReadSchedule): Promise<void> {
  if (definition.leavingTo !== undefined) return;
  const { announce, elapsed, incarnation, middleware } = parts;
  const deps = {
    incarnation,
    locks: undefined,
    hooks: () => sendHooks(middleware()),
    announce,
    now: lane.clock.now,
    elapsed,
  };
  await settleDebts(deps, newSchedule({ name: id, own: undefined, lane }), kept);
}

interface Writing {
  readonly id: string;
  readonly content: ScheduleContent;
  readonly lane: Lane;
  readonly before: ReadSchedule | undefined;
}

async function write(parts: ManageParts, { id, content, lane, before }: Writing, limits: Limits): Promise<boolean> {
  const nowMs = lane.clock.now();
  const definition = changed({ content, before: before?.definition, nowMs, source: "run_time" });
  const declaring = {
    schedule: id,
    known: before?.kept.definition,
    definition: writeDefinition(definition),
    events: [upserted(id, definition)],
    endedPattern: endedPattern(before?.definition, definition),
    seen: "none",
  } as const;
  const { isWritten } = await declareSchedule(lane, declaring, limits);
  if (isWritten) parts.announce({ kind: "events.recorded", queue: lane.queue, events: declaring.events });
  return isWritten;
}

interface Moving {
  readonly id: string;
  readonly content: ScheduleContent;
  readonly lane: Lane;
  readonly elsewhere: ReadSchedule;
}

/**
 * Moves a schedule to the queue that its task has gone to. First it is stopped where it was, then it goes on here from its last slot, and
 * only then it is forgotten there: whatever breaks off in between, no slot fires twice, and schedulers, or another upsert, bring it to its end.
 */
async function moveHere(parts: ManageParts, moving: Moving, limits: Limits): Promise<boolean> {
  const { id, content, lane, elsewhere } = moving;
  if (elsewhere.definition.leavingTo !== lane.queue) {
    await settle(parts, id, elsewhere);
    await stop(moving, limits);
    return false; // it is looked up again: how far it had come is certain only now
  }
  const events = await arrive({ schedule: id, content, from: elsewhere, to: lane }, limits);
  if (events === undefined) return false;
  parts.announce({ kind: "events.recorded", queue: lane.queue, events });
  await leave(elsewhere, id, limits);
  return true;
}

async function stop({ id, content, lane: { queue, clock }, elsewhere }: Moving, limits: Limits): Promise<void> {
  const { lane, kept, definition } = elsewhere;
  const leavingAt = Math.round(clock.now());
  const leaving: Definition = { ...definition, leavingTo: queue, leavingAt, arriving: content };
  const text = writeDefinition(leaving);
  await declareSchedule(
    lane,
    { schedule: id, known: kept.definition, definition: text, events: [], seen: "same" },
    limits,
  );
}
