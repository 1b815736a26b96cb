import { refusal } from "../../streams/connect.ts";
import { pause } from "../../streams/lane.ts";
import { boundLedger } from "../../streams/leases.ts";
import type { Notice } from "../middleware.ts";
import type { WorkLane } from "./work-lane.ts";

/** How often a lane's ledger is looked at, in ms. */
const EVERY_MS = 15_000;

/** What the bound loop works with. */
export interface BoundParts {
  readonly workLane: WorkLane;
  /** How many bytes of a ledger without an archive stay, about. */
  readonly keepLedgerBytes: number;
  readonly random: () => number;
  readonly announce: (notice: Notice) => void;
}

/** Keeps the ledger of a lane that nobody archives within its bound. Any number of workers may do so. */
export async function bound(
  { workLane, keepLedgerBytes, random, announce }: BoundParts,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    try {
      await boundLedger(workLane.lane, keepLedgerBytes, { signal });
    } catch (error) {
      if (signal.aborted) return;
      const what = "the ledger of a queue without an archive cannot be trimmed";
      if (refusal(error) !== "away") announce({ kind: "problem", what, error });
    }
    await pause(EVERY_MS * (0.5 + random()), signal);
  }
}
