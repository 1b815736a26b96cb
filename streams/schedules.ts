import { CALL_BYTES, CALL_RECORDS } from "./enqueue.ts";
import { packEntry } from "./entry.ts";
import type { EventDraft } from "./events.ts";
import { type CallLimits, callScript, type Lane } from "./lane.ts";
import { encodeEvents } from "./ledger.ts";
import { wholeMs } from "./scripts.ts";

/** What a promotion did, and how the lane stands. */
export interface Promoted {
  readonly movedCount: number;
  readonly nowMs: number;
  /** When the next scheduled run is due, in ms; 0: none. */
  readonly nextDueAt: number;
  readonly cancelRequests: number;
}

/** Moves what is due from the schedule to the stream that is read first: at most one call's worth, so that a full one asks for another. */
export async function promote(lane: Lane, limits: CallLimits = {}): Promise<Promoted> {
  const { keys } = lane;
  const reply = await callScript(
    lane,
    {
      script: "promote",
      keys: [keys.scheduled, keys.scheduledEntries, keys.again, keys.events, keys.tasks, keys.cancelled],
      args: () => [lane.header(0), CALL_RECORDS, CALL_BYTES],
    },
    limits,
  );
  return {
    movedCount: Number(reply[0]),
    nowMs: Number(reply[1]),
    nextDueAt: Number(reply[2]),
    cancelRequests: Number(reply[3]),
  };
}

/** What a schedule does at a slot. */
export interface Firing {
  readonly schedule: string;
  /** The last slot as the caller knows it, in ms; undefined: none yet. */
  readonly last: number | undefined;
  readonly slot: number;
  /** The definition as the caller read it: another one there now, and nothing is done. Default: whichever there is. */
  readonly definition?: string | undefined;
  /** The pattern of the slots up to now, when some before this one were missed: the unbroken stretch of those that fired ends. Default: none was. */
  readonly endedPattern?: string | undefined;
  readonly events: readonly EventDraft[];
  /** The run that it makes; none when the slot is skipped or missed. */
  readonly run?:
    | {
        readonly id: string;
        readonly task: string;
        readonly expires: number;
        readonly meta: string;
        readonly body: string;
        /** When it is due by itself though it has to wait for its turn, in ms; 0, the default: it is to run now. */
        readonly dueAt?: number | undefined;
        /** True when runs of later slots wait for it. */
        readonly isOwed?: boolean | undefined;
      }
    | undefined;
}

/** How far a schedule has come. Slots in ms. */
export interface Standing {
  /** The last slot that was acted on: fired, skipped or missed. */
  readonly last: number | undefined;
  /** The last slot that made a run. */
  readonly fired: number | undefined;
  /** How many slots made a run. */
  readonly firedCount: number;
}

/** What came of firing. `taken`: another scheduler has moved it, to where `standing` says. `early`: the slot is yet to come on Redis' clock. */
export type Fired =
  | { readonly isFired: true; readonly ledgerId: string }
  | { readonly isFired: false; readonly why: "taken"; readonly standing: Standing }
  | { readonly isFired: false; readonly why: "changed" | "early" };

function turnOf({ id = "", dueAt = 0, isOwed = false }: Partial<NonNullable<Firing["run"]>> = {}): (string | number)[] {
  return [id, wholeMs(dueAt), isOwed ? "turn" : ""];
}

/** A run that others of its schedule wait for has ended: the one whose slot comes next is due now. Throws CallFailed. */
export async function passTurn(lane: Lane, schedule: string, run: string, limits: CallLimits = {}): Promise<void> {
  const { scheduled, scheduledEntries, again, events, tasks, turns } = lane.keys;
  const keys = [scheduled, scheduledEntries, again, events, tasks, turns(schedule)];
  await callScript(lane, { script: "next", keys, args: () => [lane.header(0), run] }, limits);
}

/** Most slots in one call: Redis serves nobody else meanwhile, and the next call is put together while this one is carried out. */
export const FIRED_AT_ONCE = 100;

/**
 * Moves schedules of one lane on, each to a slot, unless it is no longer as the caller knows it; gives what came of each, in their order.
 * One call, one ledger entry; at most `FIRED_AT_ONCE` and 256 KiB. Throws CallFailed.
 */
export async function fire(lane: Lane, firings: readonly Firing[], limits: CallLimits = {}): Promise<Fired[]> {
  const call = await lane.nextCall();
  try {
    const { cron, tasks, events, scheduled, scheduledEntries, turns } = lane.keys;
    const keys = [cron, tasks, events, scheduled, scheduledEntries, ...firings.map(({ schedule }) => turns(schedule))];
    const args = [lane.header(call.number), ...firings.flatMap(toArgs)];
    const [, , ledgerId, ...outcomes] = await callScript(lane, { script: "fire", keys, args }, limits);
    return (outcomes as unknown[][]).map((one) => toFired(one, String(ledgerId)));
  } finally {
    call.done();
  }
}

function toArgs({ schedule, last, slot, definition, endedPattern, events, run }: Firing): (string | number)[] {
  const entry = run === undefined ? "" : packEntry({ ...run, run: run.id, attempt: 1, key: "" });
  const known = [schedule, last ?? "", slot, definition ?? "", endedPattern ?? ""];
  return [...known, events.length, encodeEvents(events).slice(1, -1), entry, ...turnOf(run)];
}

function toFired([word, ...standing]: readonly unknown[], ledgerId: string): Fired {
  if (word === "fired") return { isFired: true, ledgerId };
  if (word !== "taken") return { isFired: false, why: word as "changed" | "early" };
  return { isFired: false, why: "taken", standing: toStanding(standing[0], standing[1], standing[2]) };
}

/** How far a schedule has come, from what the hash keeps; null and empty: nothing. */
export function toStanding(last: unknown, fired: unknown, count: unknown): Standing {
  const slot = (kept: unknown) => (kept === null || kept === undefined || kept === "" ? undefined : Number(kept));
  return { last: slot(last), fired: slot(fired), firedCount: slot(count) ?? 0 };
}

/** How a cancel went: the run has ended, or whoever owns it has been asked to end it. */
export type Cancelled = "cancelled" | "requested" | "already";

/** Ends a run that is scheduled, or that waits under a known entry id; asks for the end of any other. Does not know whether the run had ended. */
export async function cancel(
  lane: Lane,
  request: {
    readonly run: string;
    readonly entryId?: string | undefined;
    readonly task?: string | undefined;
    readonly reason?: string | undefined;
  },
  limits: CallLimits = {},
): Promise<Cancelled> {
  const { keys } = lane;
  const call = await lane.nextCall();
  try {
    const reason = request.reason === undefined ? "" : JSON.stringify(request.reason);
    const reply = await callScript(
      lane,
      {
        script: "cancel",
        keys: [
          keys.scheduled,
          keys.scheduledEntries,
          keys.tasks,
          keys.events,
          keys.cancelled,
          keys.strikes,
          keys.calls(lane.incarnation),
          keys.ended(request.run),
        ],
        args: [request.run, request.entryId ?? "", lane.header(call.number), request.task ?? "", reason, call.number],
      },
      limits,
    );
    if (reply[0] === "stale")
      throw new Error("a cancel came after sixteen later calls of this process: its fate is unknown");
    return reply[0] as Cancelled;
  } finally {
    call.done();
  }
}
