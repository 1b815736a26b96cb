import { laneHash, runIdLane } from "../../streams/ids.ts";
import { type LaneKeys, laneKeys } from "../../streams/keys.ts";
import { listQueues } from "../../streams/lane.ts";
import type { Ask } from "./ask.ts";
import { traceRun, type Whereabouts } from "./trace.ts";

/** Where runs may be looked for. */
export interface Places {
  readonly ask: Ask;
  readonly namespace: () => string;
  /** The queues that the tasks of this process name. */
  readonly queues: () => readonly string[];
}

/**
 * The lane of a run of which only the id is known. The id holds a hash of its queue; where two queues share it, and for
 * cron runs, whose ids hold none, the one that knows the run. Undefined when none does.
 */
export async function findLane(places: Places, run: string, firstQueue?: string): Promise<Whereabouts | undefined> {
  const { ask, namespace } = places;
  const hash = runIdLane(run);
  const fits = (queue: string) => hash === undefined || laneHash(queue) === hash;
  const whereabouts = (queue: string) => at(run, queue, laneKeys(namespace(), queue));
  if (firstQueue !== undefined && hash !== undefined && fits(firstQueue)) return whereabouts(firstQueue);
  const known = [...(firstQueue === undefined ? [] : [firstQueue]), ...places.queues()];
  const listed = await ask((redis) => listQueues(redis, namespace()));
  const candidates = [...new Set([...known, ...listed])].filter(fits);
  if (candidates.length <= 1) return candidates[0] === undefined ? undefined : whereabouts(candidates[0]);
  for (const queue of candidates) {
    const { status, joined } = await traceRun(ask, whereabouts(queue));
    if (status !== "unknown" || joined !== undefined) return whereabouts(queue);
  }
  return undefined;
}

function at(run: string, queue: string, keys: LaneKeys): Whereabouts {
  return { run, queue, keys, entryId: undefined, ledgerId: undefined };
}
