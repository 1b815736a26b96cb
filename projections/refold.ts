import type { DatabasePool, DatabaseTransactionConnection } from "slonik";
import { transactionOnce } from "../sql/pool.ts";
import { type Checkpoint, raiseEpoch } from "../sql/queries/checkpoints.ts";
import { findLives } from "../sql/queries/lives.ts";
import { deleteParked, insertParked, type ParkedKey } from "../sql/queries/parked.ts";
import { loadRows } from "../sql/table.ts";
import type { LedgerEvent } from "../streams/events.ts";
import { compareIds, decodeEntry, isLedgerEvent, splitId } from "../streams/ledger.ts";
import { parseLane } from "./archive.ts";
import { foldShare, type Refusal, shareOf } from "./batch.ts";
import { parkedKeyOf, upsertByHalves } from "./commit.ts";
import { LEDGER } from "./lane-deps.ts";
import { parsePosition } from "./positions.ts";
import type { AnyProjection } from "./projection.ts";
import { idOf } from "./read.ts";
import { readArchive } from "./read-lane.ts";

/** What became of a parked key. `parked`: an event of it was refused, the same or a later one; with that error it stays parked. */
export type Refolded =
  | { readonly outcome: "folded"; readonly eventCount: number }
  | { readonly outcome: "parked"; readonly error: unknown };

/** What is asked for. `isSkipping` leaves the first event that is refused out, for good. */
export interface Refold {
  readonly parked: ParkedKey;
  readonly isSkipping: boolean;
}

/**
 * Takes a key back: folds what the archive has of it, from the refused event on, onto its row, which has stood still since; then the projector goes
 * on with it. One transaction, for which the projection of that lane waits. `checkpointName`: an application's projection has checkpoints of its own.
 */
export function refoldKey(
  pool: DatabasePool,
  projection: AnyProjection,
  refold: Refold,
  checkpointName = LEDGER,
): Promise<Refolded> {
  const { namespace, lane, position } = refold.parked;
  return transactionOnce(pool, async (session): Promise<Refolded> => {
    // Whoever has prepared a batch without this key finds another epoch, and reads anew.
    const checkpoint = await raiseEpoch(session, lane, checkpointName);
    const events = checkpoint === undefined ? [] : await eventsFrom(session, position, checkpoint);
    const { eventCount, refusal } = await foldOnto(session, projection, { ...refold, events });
    await deleteParked(session, refold.parked);
    if (refusal === undefined) return { outcome: "folded", eventCount };
    await insertParked(session, [parkedKeyOf(refusal, lane, namespace)]);
    return { outcome: "parked", error: refusal.error };
  });
}

/** Folds and writes event by event, so that the one that is refused is known. */
async function foldOnto(
  session: DatabaseTransactionConnection,
  projection: AnyProjection,
  { parked, isSkipping, events }: Refold & { readonly events: readonly LedgerEvent[] },
): Promise<{ readonly eventCount: number; readonly refusal?: Refusal }> {
  const { namespace, lane, key } = parked;
  const share = shareOf(projection, events, new Set());
  const keyless = share.refusals.find((one) => one.key === key);
  if (keyless !== undefined) return isSkipping ? { eventCount: 0 } : { eventCount: 0, refusal: keyless };
  const rows = await loadRows(session, { table: projection.table, namespace, queue: parseLane(lane).queue }, [key]);
  let eventCount = 0;
  let maySkip = isSkipping;
  for (const step of share.steps) {
    if (step.key !== key) continue;
    const folded = foldShare({ projection, steps: [step], refusals: [] }, rows);
    const [refusal] = [...folded.refusals, ...(await upsertByHalves(session, namespace, folded))];
    if (refusal === undefined) {
      for (const [, { row }] of folded.rows) rows.set(key, row);
      eventCount += 1;
    } else if (!maySkip) return { eventCount, refusal };
    else maySkip = false;
  }
  return { eventCount };
}

/** The archived events of a lane from a position on, up to its checkpoint, life after life. */
async function eventsFrom(
  session: DatabaseTransactionConnection,
  position: string,
  checkpoint: Checkpoint,
): Promise<LedgerEvent[]> {
  const { lane } = checkpoint;
  const { queue } = parseLane(lane);
  const first = parsePosition(position);
  const lives = (await findLives(session, lane)).map(({ incarnation }) => incarnation);
  const found: LedgerEvent[] = [];
  for (const incarnation of lives.slice(Math.max(0, lives.indexOf(first.incarnation)))) {
    for await (const page of readArchive(session, {
      lane,
      incarnation,
      fromMs: incarnation === first.incarnation ? splitId(first.id)[0] : 0,
    })) {
      for (const entry of page.entries) {
        if (incarnation === first.incarnation && compareIds(entry.id, first.id) < 0) continue;
        if (incarnation === checkpoint.incarnation && compareIds(entry.id, idOf(checkpoint)) > 0) continue;
        const isFirst = incarnation === first.incarnation && entry.id === first.id;
        const events = decodeEntry(entry, { queue, incarnation });
        found.push(...events.slice(isFirst ? first.index : 0).filter(isLedgerEvent));
      }
    }
  }
  return found;
}
