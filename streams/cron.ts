import type { EventDraft } from "./events.ts";
import { type CallLimits, callScript, type Lane } from "./lane.ts";
import { encodeEvents } from "./ledger.ts";
import { type Standing, toStanding } from "./schedules.ts";

/** What a lane keeps of a schedule. */
export interface KeptSchedule extends Standing {
  /** The definition as text; undefined: there is none. */
  readonly definition: string | undefined;
  /** When a scheduler that has it in its code last said so, in ms on Redis' clock. */
  readonly seenAt: number | undefined;
}

const KEPT_FIELDS = 5;
/** Schedules read in one call: what a reply of some 400 KiB holds. */
const READ_AT_ONCE = 500;

/** Reads what a lane keeps of schedules, in the order they are named. Throws CallFailed. */
export async function readSchedules(
  lane: Lane,
  names: readonly string[],
  limits: CallLimits = {},
): Promise<KeptSchedule[]> {
  const found: KeptSchedule[] = [];
  for (let from = 0; from < names.length; from += READ_AT_ONCE) {
    const args = names.slice(from, from + READ_AT_ONCE);
    const reply = await callScript(lane, { script: "schedules", keys: [lane.keys.cron], args }, limits);
    const values = reply[2] as (string | null)[];
    for (let at = 0; at < values.length; at += KEPT_FIELDS) found.push(toKept(values.slice(at, at + KEPT_FIELDS)));
  }
  return found;
}

function toKept([definition, last, fired, count, seen]: readonly (string | null)[]): KeptSchedule {
  return {
    ...toStanding(last, fired, count),
    definition: definition ?? undefined,
    seenAt: seen === null || seen === undefined ? undefined : Number(seen),
  };
}

/** The schedules that a lane keeps, by name. */
export async function scheduleNames(lane: Lane): Promise<string[]> {
  const fields = await lane.redis.hkeys(lane.keys.cron);
  // A name has no colon, and every other field has one.
  return fields.filter((field) => !field.includes(":")).sort();
}

/** A definition to be written. */
export interface Declaring {
  readonly schedule: string;
  /** The definition as the caller read it; undefined: none. */
  readonly known: string | undefined;
  /** Undefined removes the schedule, with all that is kept of it. */
  readonly definition: string | undefined;
  readonly events: readonly EventDraft[];
  /** How far it had come in another lane. */
  readonly standing?: Standing | undefined;
}

/** Writes or removes a definition, unless another process has changed it: then `definition` is what it has become. Throws CallFailed. */
export async function declareSchedule(
  lane: Lane,
  declaring: Declaring,
  limits: CallLimits = {},
): Promise<{ readonly isWritten: true } | { readonly isWritten: false; readonly definition: string | undefined }> {
  const call = await lane.nextCall();
  try {
    const { last, fired, firedCount = 0 } = declaring.standing ?? {};
    const brought = Object.entries({ last, fired, count: firedCount === 0 ? undefined : firedCount });
    const args = [
      declaring.schedule,
      declaring.known ?? "",
      declaring.definition ?? "",
      Math.round(lane.clock.now()),
      lane.header(call.number),
      declaring.events.length,
      encodeEvents(declaring.events),
      ...brought.flatMap(([field, value]) => (value === undefined ? [] : [field, value])),
    ];
    const keys = [lane.keys.cron, lane.keys.events];
    const reply = await callScript(lane, { script: "declare", keys, args }, limits);
    if (reply[0] === "written") return { isWritten: true };
    const definition = String(reply[2]);
    // The answer to a first try may have got lost: then it is our own text that stands there.
    if (definition === (declaring.definition ?? "")) return { isWritten: true };
    return { isWritten: false, definition: definition === "" ? undefined : definition };
  } finally {
    call.done();
  }
}

/** Says that schedulers which have these schedules in their code are alive. */
export async function confirmDeclared(lane: Lane, schedules: readonly string[]): Promise<void> {
  if (schedules.length === 0) return;
  const at = Math.round(lane.clock.now());
  const pairs: [string, number][] = schedules.map((schedule) => [`seen:${schedule}`, at]);
  await lane.redis.hset(lane.keys.cron, new Map(pairs));
}
