import type { DatabasePool } from "slonik";
import { laneName } from "../../../projections/archive.ts";
import type { LanePoint } from "../../../projections/read-lane.ts";
import { findCheckpointsOf, keepPlace } from "../../../sql/queries/checkpoints.ts";

/** The name under which it is kept how far the ledger has been sent as spans. */
const TRACES = "traces";

/** How far the spans of each queue have been sent. */
export async function findPlaces(pool: DatabasePool, namespace: string): Promise<Map<string, LanePoint>> {
  const found = await findCheckpointsOf(pool, { namespace, checkpoint: TRACES });
  return new Map(
    found.map(({ lane, incarnation, ms, seq }) => [
      lane.slice(laneName(namespace, "").length),
      { incarnation, ms, seq },
    ]),
  );
}

/** Keeps how far they have been sent, once the collector has them. */
export async function keepPlaces(
  pool: DatabasePool,
  namespace: string,
  places: ReadonlyMap<string, LanePoint>,
): Promise<void> {
  await pool.transaction(async (session) => {
    for (const [queue, point] of places)
      await keepPlace(session, { lane: laneName(namespace, queue), projection: TRACES, ...point });
  });
}
