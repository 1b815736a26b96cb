import { findCheckpoint } from "../sql/queries/checkpoints.ts";
import { pause } from "../streams/lane.ts";
import { laneName } from "./archive.ts";
import { followLane, LaneIsImported } from "./follow.ts";
import { type LaneDeps, LEDGER } from "./lane-deps.ts";
import { HistoryViolation } from "./projection.ts";
import { HistoryDiverged, idOf } from "./read.ts";
import type { ProjectorSettings } from "./settings.ts";

const DO_NOT_PASS = [HistoryViolation, HistoryDiverged, LaneIsImported];

/**
 * Projects one lane until aborted: exactly once, whoever else does it too. What is away is waited for. Throws HistoryDiverged and
 * HistoryViolation, which do not pass by themselves.
 */
export async function projectLane(deps: LaneDeps, signal: AbortSignal): Promise<void> {
  const disconnect = () => deps.blocking.disconnect(false);
  signal.addEventListener("abort", disconnect, { once: true });
  try {
    for (let failures = 0; !signal.aborted; ) {
      try {
        const left = await followLane(deps, signal, () => {
          failures = 0;
        });
        if (left === "lost") await standBy(deps, signal);
      } catch (error) {
        if (signal.aborted) return;
        if (DO_NOT_PASS.some((kind) => error instanceof kind)) throw error;
        failures += 1;
        deps.tell("failing");
        if (failures === 1 || failures % 10 === 0)
          deps.announce({
            kind: "problem",
            what: `cannot project queue "${deps.queue}"; it will be tried again`,
            error,
            facts: { queue: deps.queue, failures },
          });
        await pause(backoffMs(failures, deps.settings), signal);
      }
    }
  } finally {
    signal.removeEventListener("abort", disconnect);
    deps.tell("stopped");
  }
}

/** Waits between failures: doubling from `backoffMs` to `mostBackoffMs`, the upper half of each at random. */
export function backoffMs(
  failures: number,
  { backoffMs: first, mostBackoffMs }: Pick<ProjectorSettings, "backoffMs" | "mostBackoffMs">,
  random = Math.random,
): number {
  const whole = Math.min(first * 2 ** Math.min(failures - 1, 20), mostBackoffMs);
  return whole / 2 + (whole / 2) * random();
}

/** Waits until the lane's checkpoint has stood still for a while although there is something to do, or nobody needs to be waited for. */
async function standBy(deps: LaneDeps, signal: AbortSignal): Promise<void> {
  const lane = laneName(deps.namespace, deps.queue);
  let seen = "";
  while (!signal.aborted) {
    deps.tell("standby");
    const checkpoint = await findCheckpoint(deps.pool, lane, LEDGER);
    const position = `${checkpoint?.epoch} ${checkpoint && idOf(checkpoint)}`;
    if (position === seen) return;
    seen = position;
    await pause(deps.settings.standbyMs * (0.75 + Math.random() / 2), signal);
  }
}
