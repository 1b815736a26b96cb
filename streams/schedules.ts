import { CALL_BYTES, CALL_RECORDS } from "./enqueue.ts";
import type { EventDraft } from "./events.ts";
import { type CallLimits, callScript, type Lane } from "./lane.ts";
import { encodeEvents } from "./ledger.ts";

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
      args: [lane.header(0), CALL_RECORDS, CALL_BYTES],
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
  readonly events: readonly EventDraft[];
  /** The run that it makes; none when the slot is skipped or missed. */
  readonly run?:
    | {
        readonly id: string;
        readonly task: string;
        readonly expires: number;
        readonly meta: string;
        readonly body: string;
      }
    | undefined;
}

/** Moves a schedule on to a slot, unless another scheduler has moved it: then `last` is where it stands. */
export async function fire(
  lane: Lane,
  firing: Firing,
  limits: CallLimits = {},
): Promise<
  { readonly isFired: true; readonly ledgerId: string } | { readonly isFired: false; readonly last: number | undefined }
> {
  const { keys } = lane;
  const call = await lane.nextCall();
  try {
    const { run } = firing;
    const entry = run === undefined ? [] : [run.id, run.task, run.expires, run.meta, run.body];
    const args = [
      firing.schedule,
      firing.last ?? "",
      firing.slot,
      lane.header(call.number),
      firing.events.length,
      encodeEvents(firing.events),
      ...entry,
    ];
    const reply = await callScript(lane, { script: "fire", keys: [keys.cron, keys.tasks, keys.events], args }, limits);
    if (reply[0] === "fired") return { isFired: true, ledgerId: String(reply[3]) };
    return { isFired: false, last: reply[2] === "" ? undefined : Number(reply[2]) };
  } finally {
    call.done();
  }
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
        keys: [keys.scheduled, keys.scheduledEntries, keys.tasks, keys.events, keys.cancelled],
        args: [request.run, request.entryId ?? "", lane.header(call.number), request.task ?? "", reason],
      },
      limits,
    );
    return reply[0] as Cancelled;
  } finally {
    call.done();
  }
}
