import { refusal } from "../../streams/connect.ts";
import { CALL_RECORDS } from "../../streams/enqueue.ts";
import { promote as promoteOnce } from "../../streams/schedules.ts";
import { runCancelled } from "../errors.ts";
import type { Notice } from "../middleware.ts";
import { answerOf } from "./watch.ts";
import type { Hold, WorkLane } from "./work-lane.ts";

/** How often a lane is looked at for what is due, cancelled, or left by others, in ms. */
const EVERY_MS = 1_000;
/** How long an answer may take, in ms. */
const ANSWER_MS = 5_000;
/** Run ids asked for in one command. */
const CHUNK = 500;

/** What the promote loop works with. */
export interface PromoteParts {
  readonly workLane: WorkLane;
  readonly random: () => number;
  /** Ends a waiting run whose cancel was asked for. */
  readonly cancelWaiting: (hold: Hold) => void;
  readonly announce: (notice: Notice) => void;
}

/** Moves what is due to where it is read: every second, and when the next is due. Any number of workers may do so. */
export async function promote(parts: PromoteParts, signal: AbortSignal): Promise<void> {
  const { workLane, random } = parts;
  while (!signal.aborted) {
    try {
      if ((await promoteOne(parts, signal)) >= CALL_RECORDS) continue;
    } catch (error) {
      if (signal.aborted) return;
      workLane.nextDueAt = 0;
      const what = "runs that are due cannot be moved to their queue";
      if (refusal(error) !== "away") parts.announce({ kind: "problem", what, error });
    }
    await workLane.dueBell.sleep(waitMs(workLane, random), signal);
  }
}

async function promoteOne(parts: PromoteParts, signal: AbortSignal): Promise<number> {
  const { workLane } = parts;
  const { lane } = workLane;
  const seen = await promoteOnce(lane, { signal });
  workLane.nextDueAt = seen.nextDueAt;
  workLane.cancelRequests = seen.cancelRequests;
  await askCancelled(workLane, workLane.holds.all(), parts.cancelWaiting);
  const { redis, keys, clock } = lane;
  const asked = Promise.all([redis.zcount(keys.workers, "-inf", clock.now()), redis.hget(keys.meta, "paused")]);
  const [goneCount, paused] = await answerOf(redis, asked, ANSWER_MS);
  workLane.isPaused = paused === "1";
  if (goneCount === 0) return seen.movedCount;
  workLane.doOthersWait = true;
  workLane.goneBell.ring();
  return seen.movedCount;
}

function waitMs({ nextDueAt, lane }: WorkLane, random: () => number): number {
  const usual = EVERY_MS * (0.8 + 0.4 * random());
  if (nextDueAt === 0) return usual;
  // A little after it is due, and not all workers at the same moment.
  return Math.min(usual, Math.max(1, nextDueAt - lane.clock.now() + 10 * random()));
}

/** Asks which of these runs are to be cancelled, if any at all are, and begins to: those that run are aborted. */
export async function askCancelled(
  workLane: WorkLane,
  holds: Iterable<Hold>,
  cancelWaiting: (hold: Hold) => void,
): Promise<void> {
  if (workLane.cancelRequests === 0) return;
  const { redis, keys } = workLane.lane;
  const all = [...holds].filter((held) => held.phase === "waiting" || held.phase === "running");
  for (let from = 0; from < all.length; from += CHUNK) {
    const chunk = all.slice(from, from + CHUNK);
    const asked = redis.zmscore(keys.cancelled, ...chunk.map((held) => held.delivery.entry.run));
    const scores = await answerOf(redis, asked, ANSWER_MS);
    for (const [index, held] of chunk.entries()) {
      if (scores[index] === null || scores[index] === undefined) continue;
      if (held.phase === "waiting") cancelWaiting(held);
      else held.abort?.(runCancelled(held.delivery.entry.run));
    }
  }
}
