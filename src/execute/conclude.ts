import type { Settlement } from "../../streams/settle.ts";
import type { Capacity } from "../deliver/capacity.ts";
import { letGo, type WorkLane } from "../deliver/work-lane.ts";
import type { Ended, Notice } from "../middleware.ts";
import type { Attempt } from "./attempt.ts";
import { judge, type Outcome, type Verdict } from "./outcome.ts";
import { exclusionOf, leaveTurn, lockLeft } from "./overlap.ts";
import { success } from "./plain-settlement.ts";
import type { Settler } from "./settle.ts";
import { cancellation, death, retry } from "./settlement.ts";

/** What concluding rests on. */
export interface ConcludeParts {
  readonly capacity: Capacity;
  readonly settlerOf: (workLane: WorkLane) => Settler;
  readonly random: () => number;
  readonly announce: (notice: Notice) => void;
}

/** Judges an attempt that is over, and sends what became of its run on its way. */
export function conclude(attempt: Attempt, outcome: Outcome, parts: ConcludeParts): Ended {
  const { hold, policies, abortedBy, record, durationMs } = attempt;
  const settler = parts.settlerOf(hold.workLane);
  if (outcome.isSuccess && attempt.progress === undefined && attempt.lock === undefined) {
    settler.conclude(hold, success(attempt, durationMs)); // nearly all of them: there is nothing to judge
    return { kind: "succeeded", durationMs };
  }
  const { entry } = hold.delivery;
  const facts = { task: record.name, run: entry.run };
  const verdict = judge({
    outcome,
    abortedBy,
    attempt: entry.attempt,
    retry: policies.retry,
    random: parts.random,
    report: (what) => parts.announce({ kind: "problem", what, facts }),
  });
  const progress = attempt.progress?.close();
  if (verdict.kind === "released" || verdict.kind === "dropped") {
    parts.capacity.shift(hold, "gone");
    letGo(hold);
  } else {
    const hasLock = attempt.lock !== undefined;
    const bare = settlementOf(attempt, verdict, durationMs);
    const events = progress === undefined ? bare.events : [progress, ...bare.events];
    const lockLeftMs = hasLock ? lockLeft(attempt) : undefined;
    settler.conclude(
      hold,
      { ...bare, events, isPlain: false, lockLeftMs },
      hasLock ? (accepted) => passLock(attempt, accepted, parts.announce) : undefined,
    );
  }
  return endedOf(verdict, durationMs);
}

function settlementOf(attempt: Attempt, verdict: Verdict, durationMs: number): Settlement {
  if (verdict.kind === "succeeded") return success(attempt, durationMs);
  if (verdict.kind === "retried") return retry(attempt, durationMs, verdict);
  if (verdict.kind === "died") return death(attempt, durationMs, verdict);
  return cancellation(attempt, durationMs);
}

/** The lock goes with the ending; over the wait for another try it is kept. When nothing was accepted, the delivery that is current has it, under the same value. */
function passLock(
  { lock, record, meta, hold }: Attempt,
  accepted: Settlement | undefined,
  announce: ConcludeParts["announce"],
): void {
  if (lock === undefined || accepted === undefined) return;
  const waitMs =
    accepted.kind === "moved" ? Math.max(0, accepted.move.dueAt - hold.workLane.lane.clock.now()) : undefined;
  const passOn = () => lock.release().then(() => leaveTurn({ hold, meta, record }));
  const done = waitMs === undefined ? passOn() : lock.extend(waitMs + (exclusionOf(record, meta)?.ttlMs ?? 0));
  Promise.resolve(done).catch((error: unknown) => {
    announce({ kind: "problem", what: "an overlap lock could not be passed on; it ends by itself", error });
  });
}

function endedOf(verdict: Verdict, durationMs: number): Ended {
  if (verdict.kind === "succeeded") return { kind: "succeeded", durationMs };
  return { kind: words[verdict.kind], durationMs, error: verdict.error };
}

const words = {
  retried: "failed",
  died: "died",
  cancelled: "cancelled",
  released: "interrupted",
  dropped: "fenced",
} as const;
