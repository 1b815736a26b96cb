import { type KeptSchedule, readSchedules } from "../../streams/cron.ts";
import { CallFailed, type CallLimits, type Lane, listQueues } from "../../streams/lane.ts";
import { type Ask, Unanswered } from "../enqueue/ask.ts";
import type { Connection } from "../enqueue/connection.ts";
import type { Handles } from "../enqueue/handle.ts";
import type { SendParts } from "../enqueue/send.ts";
import { invalidOption, redisUnavailable, scheduleUnknown } from "../errors.ts";
import { type Definition, readDefinition } from "./definition.ts";
import { isDeclared } from "./reconcile.ts";

/** What managing schedules works with. */
export interface ManageParts extends SendParts {
  readonly connection: Connection;
  readonly ask: Ask;
  readonly handles: Handles;
  readonly namespace: () => string;
  /** The queues that the tasks of this process name. */
  readonly queues: () => readonly string[];
  readonly incarnation: string;
  /** Never runs backwards, in ms. */
  readonly elapsed: () => number;
}

/** A schedule where it is kept. */
export interface FoundSchedule {
  readonly lane: Lane;
  readonly kept: KeptSchedule & { readonly definition: string };
  /** Undefined: it is written by a newer version. */
  readonly definition: Definition | undefined;
}

/** Does what is asked while the connection is held, until the broker's patience is over. Throws RedisUnavailable. */
export async function whileHeld<T>(parts: ManageParts, work: (limits: Limits) => Promise<T>): Promise<T> {
  const withinMs = parts.enqueueTimeoutMs();
  parts.connection.hold();
  try {
    return await work({ deadline: performance.now() + withinMs });
  } catch (error) {
    if (!(error instanceof Unanswered || error instanceof CallFailed)) throw error;
    throw redisUnavailable(withinMs, error.cause);
  } finally {
    parts.connection.release();
  }
}

/** Until when Redis is waited for. */
export type Limits = CallLimits & { readonly deadline: number };

/** The lanes of all queues that may have schedules. */
export async function allLanes({ ask, namespace, queues, lanes }: ManageParts, { deadline }: Limits): Promise<Lane[]> {
  const listed = await ask((redis) => listQueues(redis, namespace()));
  const all = [...new Set([...queues(), ...listed])];
  return Promise.all(all.map(async (queue) => (await lanes.open(queue, deadline)).lane));
}

/** Every queue's schedule of that id: one, or two while it moves. */
export async function findSchedules(parts: ManageParts, id: string, limits: Limits): Promise<FoundSchedule[]> {
  const lanes = await allLanes(parts, limits);
  const found = await Promise.all(lanes.map((lane) => readSchedules(lane, [id], limits)));
  return found.flatMap(([kept], index) => {
    const { definition: text } = kept ?? {};
    if (kept === undefined || text === undefined) return [];
    const definition = readDefinition(text);
    return [{ lane: lanes[index] as Lane, kept: { ...kept, definition: text }, definition }];
  });
}

/** A schedule that can be worked with. */
export type ReadSchedule = FoundSchedule & { readonly definition: Definition };

/** The schedule of that id. Throws ScheduleUnknown, InvalidOption for one that a newer version has written. */
export async function findSchedule(parts: ManageParts, id: string, limits: Limits): Promise<ReadSchedule> {
  const all = await findSchedules(parts, id, limits);
  const here = all.find(({ definition }) => definition?.leavingTo === undefined) ?? all[0];
  if (here === undefined) throw scheduleUnknown(id, parts.namespace());
  return readable(id, here);
}

/** Throws InvalidOption for a schedule that this version cannot read. */
export function readable(id: string, found: FoundSchedule): ReadSchedule {
  const { definition } = found;
  if (definition !== undefined) return { ...found, definition };
  throw invalidOption("id", `schedule "${id}" was written by a newer version of tasktrail: update it here`);
}

/** True while some scheduler has it in its code. */
export function isInCode({ definition, kept, lane }: ReadSchedule): boolean {
  return definition.source === "declared" && isDeclared(kept, lane.clock.now());
}
