import { sql } from "slonik";
import { z } from "zod";
import { changed, rowOf, rowsOf, type Session } from "../statement.ts";

const checkpointRow = z.object({
  lane: z.string(),
  projection: z.string(),
  incarnation: z.string(),
  ms: z.number(),
  seq: z.number(),
  token: z.string(),
  epoch: z.number(),
  entriesApplied: z.number(),
  eventsApplied: z.number(),
  unknownEvents: z.number(),
  updatedAt: z.number(),
});

/** How far a projection has read a lane: its last entry, that entry's batch token, and the epoch. `0-0` before the first. */
export type Checkpoint = Readonly<z.infer<typeof checkpointRow>>;

const columns = sql.fragment`
  lane, projection, incarnation, ms::double precision as ms, seq::double precision as seq, token, epoch,
  entries_applied::double precision as "entriesApplied", events_applied::double precision as "eventsApplied",
  unknown_events::double precision as "unknownEvents", round(date_part('epoch', updated_at) * 1000) as "updatedAt"`;

/** A projection's checkpoint in a lane; undefined when it has read nothing yet. */
export function findCheckpoint(session: Session, lane: string, projection: string): Promise<Checkpoint | undefined> {
  return rowOf(
    session,
    checkpointRow,
    sql.unsafe`select ${columns} from projection_checkpoints where lane = ${lane} and projection = ${projection}`,
  );
}

/** Every checkpoint of a namespace. */
export function listCheckpoints(session: Session, namespace: string): Promise<Checkpoint[]> {
  return rowsOf(
    session,
    checkpointRow,
    sql.unsafe`
      select ${columns} from projection_checkpoints
      where split_part(lane, ':', 1) = ${namespace} order by lane, projection`,
  );
}

/** Whose checkpoints are meant. */
export interface CheckpointsOf {
  readonly namespace: string;
  /** The name that they have. */
  readonly checkpoint: string;
}

/** A projection's checkpoints in all lanes of a namespace. `isLocked`: nobody else moves them until the transaction is over. */
export function findCheckpointsOf(
  session: Session,
  { namespace, checkpoint }: CheckpointsOf,
  isLocked = false,
): Promise<Checkpoint[]> {
  return rowsOf(
    session,
    checkpointRow,
    sql.unsafe`
      select ${columns} from projection_checkpoints
      where split_part(lane, ':', 1) = ${namespace} and projection = ${checkpoint}
      order by lane ${isLocked ? sql.fragment`for update` : sql.fragment``}`,
  );
}

/** Has every projector that holds rows of older times in memory find its checkpoint lost, so that it reads them anew. */
export async function raiseEpochs(session: Session, { namespace, checkpoint }: CheckpointsOf): Promise<void> {
  await session.query(sql.unsafe`
    update projection_checkpoints set epoch = epoch + 1
    where split_part(lane, ':', 1) = ${namespace} and projection = ${checkpoint}`);
}

/** Makes the checkpoint before the first entry of a lane's first life, and does nothing when there is one. */
export async function createCheckpoint(
  session: Session,
  { lane, projection, incarnation }: Pick<Checkpoint, "lane" | "projection" | "incarnation">,
): Promise<void> {
  await session.query(sql.unsafe`
    insert into lane_incarnations (lane, number, incarnation, repaired_at) values (${lane}, 1, ${incarnation}, now())
    on conflict do nothing`);
  await session.query(sql.unsafe`
    insert into projection_checkpoints (lane, projection, incarnation, ms, seq, token)
    values (${lane}, ${projection}, ${incarnation}, 0, 0, '') on conflict do nothing`);
}

/** Another life of a lane, and the last entry that it shares with those before; `0-0` when it shares none. */
export interface NewLife extends Pick<Checkpoint, "ms" | "seq" | "token"> {
  readonly incarnation: string;
  /** False: what Redis has lost is still to be brought back. */
  readonly isRepaired: boolean;
}

/**
 * Sets a checkpoint to where another life of its lane begins: the one that it was made from is gone. In a transaction of its own, or of
 * the caller's. False, and nothing done, when it has moved meanwhile.
 */
export async function restartCheckpoint(session: Session, checkpoint: Checkpoint, life: NewLife): Promise<boolean> {
  const { lane, projection, epoch, ms, seq, incarnation } = checkpoint;
  const count = await changed(
    session,
    sql.unsafe`
      with moved as (
        update projection_checkpoints
        set incarnation = ${life.incarnation}, ms = ${life.ms}, seq = ${life.seq}, token = ${life.token},
          epoch = epoch + 1, updated_at = now()
        where lane = ${lane} and projection = ${projection} and epoch = ${epoch}
          and incarnation = ${incarnation} and ms = ${ms} and seq = ${seq}
        returning lane
      )
      insert into lane_incarnations (lane, number, incarnation, after_ms, after_seq, repaired_at)
      select moved.lane, coalesce((select max(number) from lane_incarnations where lane = ${lane}), 0) + 1,
        ${life.incarnation}::text, ${life.ms}::bigint, ${life.seq}::bigint, case when ${life.isRepaired}::boolean then now() end
      from moved`,
  );
  return count === 1;
}

/** What a batch adds to a checkpoint. */
export interface CheckpointMove {
  readonly ms: number;
  readonly seq: number;
  readonly token: string;
  readonly entries: number;
  readonly events: number;
  readonly unknown: number;
}

/**
 * Moves a checkpoint by compare-and-set on position and epoch, and keeps it locked to the end of the transaction. False: somebody
 * else has moved it, and what was folded from it is worth nothing.
 */
export async function moveCheckpoint(session: Session, from: Checkpoint, to: CheckpointMove): Promise<boolean> {
  const count = await changed(
    session,
    sql.unsafe`
      update projection_checkpoints set
        ms = ${to.ms}, seq = ${to.seq}, token = ${to.token}, updated_at = now(),
        entries_applied = entries_applied + ${to.entries}, events_applied = events_applied + ${to.events},
        unknown_events = unknown_events + ${to.unknown}
      where lane = ${from.lane} and projection = ${from.projection} and epoch = ${from.epoch}
        and incarnation = ${from.incarnation} and ms = ${from.ms} and seq = ${from.seq}`,
  );
  return count === 1;
}

/** Keeps how far a reader has come that writes no rows: what it did with them is outside, and its place comes after. */
export async function keepPlace(
  session: Session,
  { lane, projection, incarnation, ms, seq }: Pick<Checkpoint, "lane" | "projection" | "incarnation" | "ms" | "seq">,
): Promise<void> {
  await session.query(sql.unsafe`
    insert into projection_checkpoints (lane, projection, incarnation, ms, seq, token)
    values (${lane}, ${projection}, ${incarnation}, ${ms}, ${seq}, '')
    on conflict (lane, projection) do update
    set incarnation = excluded.incarnation, ms = excluded.ms, seq = excluded.seq, updated_at = now()`);
}

/** Raises a checkpoint's epoch, and keeps it locked to the end of the transaction: what others have prepared from it is worth nothing. */
export function raiseEpoch(session: Session, lane: string, projection: string): Promise<Checkpoint | undefined> {
  return rowOf(
    session,
    checkpointRow,
    sql.unsafe`
      update projection_checkpoints set epoch = epoch + 1
      where lane = ${lane} and projection = ${projection} returning ${columns}`,
  );
}

/** Moves a checkpoint into the next life of its lane, to where that begins, by compare-and-set. False: somebody else has moved it. */
export async function enterLife(
  session: Session,
  from: Checkpoint,
  to: Pick<Checkpoint, "incarnation" | "ms" | "seq" | "token">,
): Promise<boolean> {
  const count = await changed(
    session,
    sql.unsafe`
      update projection_checkpoints set incarnation = ${to.incarnation}, ms = ${to.ms}, seq = ${to.seq}, token = ${to.token}, updated_at = now()
      where lane = ${from.lane} and projection = ${from.projection} and epoch = ${from.epoch}
        and incarnation = ${from.incarnation} and ms = ${from.ms} and seq = ${from.seq}`,
  );
  return count === 1;
}
