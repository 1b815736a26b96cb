import type { DatabasePool, DatabaseTransactionConnection } from "slonik";
import { sqlState, transactionOnce } from "../sql/pool.ts";
import { insertEntries } from "../sql/queries/archive.ts";
import { type Checkpoint, moveCheckpoint } from "../sql/queries/checkpoints.ts";
import { deleteBatches } from "../sql/queries/outbox.ts";
import { insertParked } from "../sql/queries/parked.ts";
import { upsertRows } from "../sql/table.ts";
import { parseLane } from "./archive.ts";
import type { Batch, Folded, Refusal } from "./batch.ts";
import type { AnyRow } from "./projection.ts";

/** What became of a batch. `lost`: another projector has moved the checkpoint meanwhile, and nothing was written. */
export type Commit =
  | { readonly outcome: "done"; readonly rows: number; readonly refusals: readonly Refusal[] }
  | { readonly outcome: "lost" };

/**
 * The one transaction of a batch: checkpoint, archive, rows. The checkpoint goes first, and so holds the lane against every
 * other projector until the end. A row that Postgres refuses is found by halves and its key parked; the rest goes in.
 */
export async function commitBatch(
  pool: DatabasePool,
  from: Checkpoint,
  work: Pick<Work, "batch" | "folded">,
): Promise<Commit> {
  try {
    return await commit(pool, from, { ...work, upsert: upsertAll });
  } catch (error) {
    if (!isRefusedValue(error)) throw error;
    return commit(pool, from, { ...work, upsert: upsertByHalves });
  }
}

/** Writes the rows of a projection; gives those that were refused. */
export type Upsert = (
  session: DatabaseTransactionConnection,
  namespace: string,
  folded: Folded,
) => Promise<readonly Refusal[]>;
type Work = { readonly batch: Batch; readonly folded: readonly Folded[]; readonly upsert: Upsert };

/** Changes nothing outside the transaction, since it may be done again. */
function commit(pool: DatabasePool, from: Checkpoint, { batch, folded, upsert }: Work): Promise<Commit> {
  const { namespace } = parseLane(from.lane);
  return transactionOnce(pool, async (session): Promise<Commit> => {
    if (!(await moveCheckpoint(session, from, batch.to))) return { outcome: "lost" };
    await insertEntries(session, batch.archived);
    const refusals = folded.flatMap((one) => one.refusals);
    let rows = 0;
    for (const one of folded) {
      const refused = await upsert(session, namespace, one);
      rows += one.rows.size - refused.length;
      refusals.push(...refused);
    }
    await insertParked(
      session,
      refusals.map((refusal) => parkedKeyOf(refusal, from.lane, namespace)),
    );
    const relayed = lastRelayed(batch);
    if (relayed !== undefined) await deleteBatches(session, from.lane, relayed);
    return { outcome: "done", rows, refusals };
  });
}

/** The last batch of the outbox whose runs are archived with this one: its rows are needed no longer. */
function lastRelayed({ events }: Batch): number | undefined {
  const note = events.findLast((event) => event.type === "outbox.relayed");
  return (note as { readonly batch?: number } | undefined)?.batch;
}

const upsertAll: Upsert = async (session, namespace, { projection, rows }) => {
  await upsertRows(session, { table: projection.table, namespace }, rowsOf(rows.values()));
  return [];
};

/** Writes rows one by one where they cannot be written together. Gives those that Postgres refuses. */
export const upsertByHalves: Upsert = async (session, namespace, { projection, rows }) => {
  const refusals: Refusal[] = [];
  const upsert = async (part: readonly [string, { row: AnyRow; event: Refusal["event"] }][]): Promise<void> => {
    try {
      await session.transaction((savepoint) =>
        upsertRows(
          savepoint,
          { table: projection.table, namespace },
          part.map(([, { row }]) => row),
        ),
      );
    } catch (error) {
      if (!isRefusedValue(error)) throw error;
      const [first] = part;
      if (part.length > 1) {
        const half = part.length >> 1;
        await upsert(part.slice(0, half));
        await upsert(part.slice(half));
      } else if (first !== undefined)
        refusals.push({ projection: projection.name, key: first[0], event: first[1].event, error });
    }
  };
  await upsert([...rows]);
  return refusals;
};

function rowsOf(values: Iterable<{ readonly row: AnyRow }>): AnyRow[] {
  return Array.from(values, ({ row }) => row);
}

/** Classes 22 and 23: the value is at fault and would be again. Never a duplicate key: those would be ours. */
function isRefusedValue(error: unknown): boolean {
  const state = sqlState(error);
  return state !== undefined && /^2[23]/.test(state) && state !== "23505";
}

const MOST_CHARACTERS = 8_000;

/** A refusal as the table of parked keys has it. */
export function parkedKeyOf({ projection, key, event, error }: Refusal, lane: string, namespace: string) {
  const whole = error instanceof Error ? error : new Error(String(error));
  return {
    namespace,
    projection,
    key: storable(key),
    lane,
    position: storable(event.position ?? ""),
    eventType: event.type,
    errorType: whole.name,
    errorMessage: storable(whole.message),
    errorStack: whole.stack === undefined ? null : storable(whole.stack),
  };
}

/** Cut to size and without what Postgres refuses: the poison may be in the message, too. */
function storable(text: string): string {
  return text.slice(0, MOST_CHARACTERS).replaceAll("\0", "\uFFFD").toWellFormed();
}
