import type { Redis } from "ioredis";
import { type Enqueued, type EnqueueRecord, EnqueueRefused, enqueueCall, toEnqueued } from "./enqueue.ts";
import type { EventDraft } from "./events.ts";
import type { LaneKeys } from "./keys.ts";
import { type CallLimits, callScript, type Lane } from "./lane.ts";
import { encodeEvents } from "./ledger.ts";

/** One step of a source into a lane. */
export interface Step {
  /** Which source: a field of the lane's marks. */
  readonly field: string;
  /** How far the lane must have come for this to be the next step; "0" at the beginning. */
  readonly from: string;
  readonly to: string;
  /** Recorded after what is enqueued, also when nothing is. */
  readonly notes?: readonly EventDraft[] | undefined;
}

/** What became of a step. `passed`: it was not the next one, and nothing was done; `mark` says how far the lane has come. */
export type Stepped =
  | { readonly outcome: "taken"; readonly call: Enqueued }
  | { readonly outcome: "passed"; readonly mark: string };

/** The field of a lane's marks for its outbox. */
export const OUTBOX_MARK = "outbox";

/**
 * Enqueues the records of one step and moves the lane's mark, in one script: all or nothing, and once however often it is asked.
 * An answer that was lost is asked for again, and then says `passed`, with the mark where this step has left it. Throws CallFailed.
 */
export async function takeStep(
  lane: Lane,
  records: readonly EnqueueRecord[],
  step: Step,
  limits: CallLimits = {},
): Promise<Stepped> {
  const call = await lane.nextCall();
  try {
    const { keys, args } = enqueueCall(lane, call.number, 0, records);
    const { notes = [] } = step;
    const at = Math.trunc(lane.clock.now());
    const recorded = encodeEvents(notes.map((note) => ({ at, ...note })));
    const reply = await callScript(
      lane,
      {
        script: "relay",
        keys: [...keys, lane.keys.marks],
        args: [...args, step.field, step.from, step.to, notes.length, recorded, lane.header(0)],
      },
      limits,
    );
    const status = String(reply[0]);
    if (status === "passed") return { outcome: "passed", mark: String(reply[2]) };
    if (status !== "ok") throw new EnqueueRefused(status);
    return { outcome: "taken", call: toEnqueued(reply) };
  } finally {
    call.done();
  }
}

/** Sets how far a lane has come with a source: a step that was on its way is no longer the next one. */
export async function setMark(redis: Redis, keys: LaneKeys, field: string, mark: string): Promise<void> {
  await redis.hset(keys.marks, field, mark);
}

/** How far a lane has come with a source; "0" when it has not begun. */
export async function readMark(redis: Redis, keys: LaneKeys, field: string): Promise<string> {
  return (await redis.hget(keys.marks, field)) ?? "0";
}
