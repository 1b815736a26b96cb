import type { Checkpoint } from "../sql/queries/checkpoints.ts";
import { callScript, type Lane } from "../streams/lane.ts";
import { idOf } from "./read.ts";

/** How much of what is archived stays in Redis. What is younger than `keepMs` stays, unless that comes to more than `keepBytes`. */
export interface Kept {
  /** In ms. */
  readonly keepMs: number;
  /** About so many bytes at most; 0: any. */
  readonly keepBytes: number;
  /** How many bytes a lane's tail may have in all, about, archived or not; 0: any. */
  readonly maxTail: number;
  /** What gives past them: dispatches, or the oldest entries. */
  readonly whenFull: "refuse" | "gap";
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
  { keepMs, keepBytes, maxTail, whenFull, signal }: Kept & { readonly signal?: AbortSignal },
): Promise<number> {
  const { events, meta, tasks } = lane.keys;
  const { incarnation, token } = checkpoint;
  // Of a tail with a limit, what is archived may take a half: it is not what makes it full.
  const keep = maxTail === 0 ? keepBytes : Math.min(keepBytes || maxTail, maxTail / 2);
  const bounds = [Math.trunc(keepMs), Math.trunc(keep), Math.trunc(maxTail), whenFull];
  const args = () => [incarnation, idOf(checkpoint), token, ...bounds, lane.header(0)];
  let trimmed = 0;
  for (let calls = 0; calls < MOST_CALLS; calls += 1) {
    const reply = await callScript(lane, { script: "trim", keys: [events, meta, tasks], args }, { signal });
    trimmed += Number(reply[2]);
    if (Number(reply[2]) < ONE_MORE) break;
  }
  return trimmed;
}
