import { ready } from "../../streams/connect.ts";
import type { Delivery } from "../../streams/entry.ts";
import { heldBy, receiveAgain } from "../../streams/leases.ts";
import { answerOf } from "./watch.ts";
import { type Hold, holdKey, type WorkLane } from "./work-lane.ts";

/** What came of comparing. */
export interface Difference {
  /** Known here, and no longer this worker's. */
  readonly lost: readonly Hold[];
  /** Delivered to this worker, and never received: now they are. */
  readonly received: readonly Delivery[];
}

/** Entries received again at once. */
const CHUNK = 100;
const ANSWER_MS = 5_000;

/**
 * Compares what Redis has delivered to this worker with what is known here, and fetches the difference: a reply that was
 * lost would strand its entries for ever, since no read gives them a second time.
 * To be called while no read, reclaim or recovery of the lane is on its way. Throws when Redis does not answer.
 */
export async function compare(workLane: WorkLane): Promise<Difference> {
  const { lane, holds, consumer } = workLane;
  await ready(lane.redis, ANSWER_MS);
  const before = holds.all();
  const rows = await answerOf(lane.redis, heldBy(lane.redis, lane.keys, consumer), ANSWER_MS);
  const byKey = new Map(rows.map((row) => [holdKey(row), row]));
  const lost = before.filter((held) => {
    if (held.phase === "settling" || held.phase === "gone") return false; // its settling asks for itself
    return byKey.get(held.key)?.delivery !== held.delivery.delivery;
  });
  const gone = new Set(lost);
  const own = new Map(holds.all().map((held) => [held.key, held]));
  const strange = rows.filter((row) => {
    const known = own.get(holdKey(row));
    return known === undefined || gone.has(known);
  });
  return { lost, received: await receiveAll(workLane, strange) };
}

async function receiveAll(
  { lane, consumer }: WorkLane,
  rows: readonly Parameters<typeof receiveAgain>[3][],
): Promise<Delivery[]> {
  const received: Delivery[] = [];
  for (let from = 0; from < rows.length; from += CHUNK) {
    const chunk = rows.slice(from, from + CHUNK);
    const again = chunk.map((row) => receiveAgain(lane.redis, lane.keys, consumer, row));
    for (const delivery of await answerOf(lane.redis, Promise.all(again), ANSWER_MS)) {
      if (delivery !== undefined) received.push(delivery);
    }
  }
  return received;
}
