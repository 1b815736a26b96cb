import type { Hold } from "../deliver/work-lane.ts";

/** Now in whole milliseconds, on Redis' clock. */
export function nowOf({ workLane }: Hold): number {
  return Math.trunc(workLane.lane.clock.now());
}
