import { refusal } from "../../streams/connect.ts";
import { pause } from "../../streams/lane.ts";
import type { Notice } from "../middleware.ts";
import type { Taking } from "./taking.ts";
import type { WorkLane } from "./work-lane.ts";

/** How often the lane is looked through for entries that nobody holds, in ms. */
const AUDIT_MS = 60_000;

/** Where something was taken over there may be more, once slots are free again. */
const MORE_MS = 50;

/** What the reclaim loop works with. */
export interface ReclaimParts {
  readonly workLane: WorkLane;
  readonly taking: Taking;
  readonly leaseMs: number;
  readonly random: () => number;
  readonly elapsed: () => number;
  readonly announce: (notice: Notice) => void;
}

/** Takes over what dead and departed workers hold: every third of a lease, sooner when one was seen to be gone; and now and then what nobody holds. */
export async function reclaim(parts: ReclaimParts, signal: AbortSignal): Promise<void> {
  const { workLane, taking, leaseMs, random, elapsed } = parts;
  let auditAt = elapsed() + AUDIT_MS * random();
  while (!signal.aborted) {
    try {
      while (!signal.aborted && (await taking.reclaim(workLane, signal)) > 0) await pause(MORE_MS, signal);
      if (elapsed() >= auditAt) {
        auditAt = elapsed() + AUDIT_MS * (0.8 + 0.4 * random());
        await taking.recover(workLane, signal);
      }
    } catch (error) {
      if (signal.aborted) return;
      const what = "entries of dead workers cannot be taken over";
      if (refusal(error) !== "away") parts.announce({ kind: "problem", what, error });
      await pause(1_000, signal);
    }
    await workLane.goneBell.sleep((leaseMs / 3) * (0.8 + 0.4 * random()), signal);
  }
}
