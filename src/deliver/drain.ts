import { pause } from "../../streams/lane.ts";
import { leave } from "../../streams/leases.ts";
import { shuttingDown } from "../errors.ts";
import type { Execution } from "../execute/execution.ts";
import type { Lease } from "./lease.ts";
import type { WorkLane } from "./work-lane.ts";

/** How long handlers are waited for once they have been told to stop, in ms. */
const AFTER_ABORT_MS = 2_000;
/** How long Redis may take for the last outcomes, and to be told goodbye, in ms. */
const FLUSH_MS = 5_000;
const POLL_MS = 10;

/** What draining works with. */
export interface DrainParts {
  readonly workLanes: readonly WorkLane[];
  readonly execution: Execution;
  readonly lease: Lease;
  readonly graceMs: number;
  /** Gives up outcomes that Redis has not taken. */
  readonly giveUp: AbortController;
  readonly elapsed: () => number;
}

/**
 * Ends a worker's work once nothing is read any more: what has not started stays with Redis, what runs has its grace and is then
 * told to stop, outcomes are recorded, and the lease is given up, so that the next worker takes what is left, in order, with no strike and no attempt used.
 */
export async function drain(parts: DrainParts): Promise<void> {
  const { workLanes, execution, lease, graceMs, giveUp, elapsed } = parts;
  const { capacity } = execution;
  const isIdle = () => capacity.countOf("running") === 0;
  execution.stopStarting();
  await until(isIdle, graceMs, elapsed);
  if (!isIdle()) {
    for (const { holds } of workLanes) for (const held of holds.all()) held.abort?.(shuttingDown(graceMs));
    await until(isIdle, AFTER_ABORT_MS, elapsed);
  }
  const flushed = Promise.all(workLanes.map((workLane) => execution.settlerOf(workLane).drained()));
  await Promise.race([flushed, pause(FLUSH_MS, giveUp.signal)]);
  giveUp.abort();
  execution.close();
  await lease.close(); // a beat after leaving would bring the worker back
  const deadline = performance.now() + FLUSH_MS;
  await Promise.allSettled(workLanes.map(({ lane, consumer }) => leave(lane, consumer, { deadline })));
}

async function until(isSo: () => boolean, withinMs: number, elapsed: () => number): Promise<void> {
  const end = elapsed() + withinMs;
  while (!isSo() && elapsed() < end) await pause(Math.min(POLL_MS, Math.max(1, end - elapsed())));
}
