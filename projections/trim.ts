import type { Checkpoint } from "../sql/queries/checkpoints.ts";
import { compareIds } from "../streams/ledger.ts";
import { answered, idOf, type LaneReader } from "./read.ts";

/** The id below which a lane's tail may go: neither the checkpoint's own entry nor anything younger than `keepMs`. Pure. */
export function trimBelow(checkpoint: Pick<Checkpoint, "ms" | "seq">, nowMs: number, keepMs: number): string {
  const byAge = `${Math.max(0, Math.trunc(nowMs - keepMs))}-0`;
  const archived = idOf(checkpoint);
  return compareIds(byAge, archived) < 0 ? byAge : archived;
}

/** Calls made at most at a time; each takes away up to ten thousand entries, so that Redis serves others in between. */
const MOST_CALLS = 20;

/** Trims what is archived and older than `keepMs` from a lane's tail. Only whole nodes of the stream go (`~`), so some may stay. Gives how many went. */
export async function trimTail({ redis, keys }: LaneReader, checkpoint: Checkpoint, keepMs: number): Promise<number> {
  const [seconds] = await answered(redis, redis.time());
  const below = trimBelow(checkpoint, Number(seconds) * 1_000, keepMs);
  let trimmed = 0;
  for (let call = 0; call < MOST_CALLS; call += 1) {
    const count = await answered(redis, redis.xtrim(keys.events, "MINID", "~", below, "LIMIT", 10_000));
    trimmed += count;
    if (count === 0) break;
  }
  return trimmed;
}
