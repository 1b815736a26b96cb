import type { Checkpoint } from "../sql/queries/checkpoints.ts";
import { callScript, type Lane } from "../streams/lane.ts";
import { idOf } from "./read.ts";

/** How much of what is archived stays in Redis. What is younger than `keepMs` stays, unless that comes to more than `keepBytes`. */
export interface Kept {
  /** In ms. */
  readonly keepMs: number;
  /** About so many bytes at most; 0: any. */
  readonly keepBytes: number;
}

/** Calls made at most at a time; each takes away up to twenty thousand entries, so that Redis serves others in between. */
const MOST_CALLS = 20;
const ONE_MORE = 10_000;

/**
 * Trims what is archived from a lane's tail: strictly below the checkpoint's entry, which the script looks for, with its batch token, as it trims.
 * Only whole nodes of the stream go, so some may stay. Tells the lane how far it is archived. Gives how many went. Throws CallFailed.
 */
export async function trimTail(
  lane: Lane,
  checkpoint: Pick<Checkpoint, "incarnation" | "ms" | "seq" | "token">,
  { keepMs, keepBytes, signal }: Kept & { readonly signal?: AbortSignal },
): Promise<number> {
  const { events, meta, tasks } = lane.keys;
  const args = [checkpoint.incarnation, idOf(checkpoint), checkpoint.token, Math.trunc(keepMs), Math.trunc(keepBytes)];
  let trimmed = 0;
  for (let calls = 0; calls < MOST_CALLS; calls += 1) {
    const reply = await callScript(lane, { script: "trim", keys: [events, meta, tasks], args }, { signal });
    trimmed += Number(reply[2]);
    if (Number(reply[2]) < ONE_MORE) break;
  }
  return trimmed;
}
