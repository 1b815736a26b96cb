import { packEntry } from "./entry.ts";
import type { EventDraft } from "./events.ts";
import { type CallLimits, callScript, type Lane } from "./lane.ts";
import { encodeEvents } from "./ledger.ts";
import { type Standing, toStanding } from "./schedules.ts";
import { wholeMs } from "./scripts.ts";

/** What a lane keeps of a schedule. */
export interface KeptSchedule extends Standing {
  /** The definition as text; undefined: there is none. */
  readonly definition: string | undefined;
  /** When a scheduler that has it in its code last said so, in ms on Redis' clock. */
  readonly seenAt: number | undefined;
  /** The first slot of the stretch that goes up to `fired`, in which every slot made a run. */
  readonly since: number | undefined;
  /** Earlier stretches as text, one a line: first and last slot in ms, and the pattern whose slots they were. A `+` before them: older ones were forgotten. */
  readonly past: string;
}

/** Schedules as they were read. */
export interface ReadSchedules {
  /** In the order they were named. */
  readonly kept: readonly KeptSchedule[];
  /** Changes with every definition that is written or removed. */
  readonly revision: string;
}

const KEPT_FIELDS = 7;
/** Schedules read in one call: what a reply of some 400 KiB holds. */
const READ_AT_ONCE = 500;

/** Reads what a lane keeps of schedules, and how often definitions were changed. Without names, the latter alone. Throws CallFailed. */
export async function readLaneSchedules(
  lane: Lane,
  names: readonly string[],
  limits: CallLimits = {},
): Promise<ReadSchedules> {
  const kept: KeptSchedule[] = [];
  let revision = "0";
  for (let from = 0; from === 0 || from < names.length; from += READ_AT_ONCE) {
    const args = names.slice(from, from + READ_AT_ONCE);
    const reply = await callScript(lane, { script: "schedules", keys: [lane.keys.cron], args }, limits);
    const values = reply[2] as (string | null)[];
    for (let at = 0; at < args.length * KEPT_FIELDS; at += KEPT_FIELDS) {
      kept.push(toKept(values.slice(at, at + KEPT_FIELDS)));
    }
    if (from === 0) revision = String(reply[3]);
  }
  return { kept, revision };
}

/** Reads what a lane keeps of schedules, in the order they are named. Throws CallFailed. */
export async function readSchedules(
  lane: Lane,
  names: readonly string[],
  limits: CallLimits = {},
): Promise<readonly KeptSchedule[]> {
  return names.length === 0 ? [] : (await readLaneSchedules(lane, names, limits)).kept;
}

function toKept([definition, last, fired, count, seen, since, past]: readonly (string | null)[]): KeptSchedule {
  const instant = (text: string | null | undefined) => (text === null || text === undefined ? undefined : Number(text));
  return {
    ...toStanding(last, fired, count),
    definition: definition ?? undefined,
    seenAt: instant(seen),
    since: instant(since),
    past: past ?? "",
  };
}

const DEFINITION = "definition:";

/** The schedules that a lane keeps, by name. */
export async function scheduleNames(lane: Lane): Promise<string[]> {
  const fields = await lane.redis.hkeys(lane.keys.cron);
  const definitions = fields.filter((field) => field.startsWith(DEFINITION));
  return definitions.map((field) => field.slice(DEFINITION.length)).sort();
}

/** A definition to be written. */
export interface Declaring {
  readonly schedule: string;
  /** The definition as the caller read it; undefined: none. */
  readonly known: string | undefined;
  /** Undefined removes the schedule, with all that is kept of it. */
  readonly definition: string | undefined;
  readonly events: readonly EventDraft[];
  /** Whether a scheduler has it in its code: `now`, as this process is one, or `none`; `same` says nothing of it. Default: `now`. */
  readonly seen?: "now" | "none" | "same" | undefined;
  /** The pattern of the slots up to now, when the new definition has others. Default: it has the same. */
  readonly endedPattern?: string | undefined;
  /** How far it had come in another lane. */
  readonly standing?: Partial<Standing & Pick<KeptSchedule, "since" | "past">> | undefined;
}

/** Writes or removes a definition, unless another process has changed it: then `definition` is what it has become. Throws CallFailed. */
export async function declareSchedule(
  lane: Lane,
  declaring: Declaring,
  limits: CallLimits = {},
): Promise<{ readonly isWritten: true } | { readonly isWritten: false; readonly definition: string | undefined }> {
  const call = await lane.nextCall();
  try {
    const { seen = "now", standing = {} } = declaring;
    const { last, fired, firedCount, since, past } = standing;
    const brought = Object.entries({ last, fired, count: firedCount || undefined, since, past: past || undefined });
    const args = [
      declaring.schedule,
      declaring.known ?? "",
      declaring.definition ?? "",
      seen === "now" ? Math.round(lane.clock.now()) : seen,
      lane.header(call.number),
      declaring.events.length,
      encodeEvents(declaring.events),
      declaring.endedPattern ?? "",
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

/** A run of a slot of the past. Instants in ms. */
export interface BackfillRun {
  readonly id: string;
  readonly task: string;
  readonly meta: string;
  readonly body: string;
  readonly slot: number;
  /** When it is due by itself though it has to wait for its turn; 0: it is to run now. */
  readonly dueAt: number;
}

/** Slots of the past to be fired, all or none. */
export interface Backfilling {
  readonly schedule: string;
  /** The definition as the caller read it. */
  readonly definition: string;
  /** What is noted of the past as the caller read it, and what it is from now on. */
  readonly past: { readonly known: string; readonly next: string };
  readonly runs: readonly BackfillRun[];
  readonly events: readonly EventDraft[];
}

/** Fires slots of the past, unless the schedule or what is noted of its past has been changed: then false. Throws CallFailed. */
export async function fireBackfill(lane: Lane, filling: Backfilling, limits: CallLimits = {}): Promise<boolean> {
  const call = await lane.nextCall();
  try {
    const { schedule, definition, past, runs, events } = filling;
    const header = lane.header(call.number);
    const token = `${lane.incarnation}/${call.number}`;
    const args = [schedule, definition, past.known, past.next, header, events.length, encodeEvents(events), token];
    const entries = runs.flatMap((run) => [
      packEntry({ ...run, run: run.id, attempt: 1, key: "", expires: 0 }),
      run.id,
      wholeMs(run.dueAt),
      wholeMs(run.slot),
    ]);
    const { cron, tasks, events: ledger, scheduled, scheduledEntries, turns } = lane.keys;
    const keys = [cron, tasks, ledger, scheduled, scheduledEntries, turns(schedule)];
    const reply = await callScript(lane, { script: "backfill", keys, args: [...args, ...entries] }, limits);
    // The answer to a first try may have got lost: then it is our own call that was there before.
    return reply[0] === "fired" || reply[2] === token;
  } finally {
    call.done();
  }
}
