import { sql } from "slonik";
import { z } from "zod";
import { changed, rowOf, rowsOf, type Session, statement } from "../statement.ts";

const waitingRow = z.object({ id: z.string(), item: z.string(), record: z.string(), ageMs: z.number() });
/** A row that is to be sent. `ageMs`: since it was written, on Postgres' clock. */
export type OutboxItem = Readonly<z.infer<typeof waitingRow>>;

const itemColumns = sql.fragment`
  id::text as id, item, record,
  greatest(0, date_part('epoch', clock_timestamp() - created_at) * 1000)::double precision as "ageMs"`;

/** A lane in one relay's hands. */
export interface HeldLane {
  readonly lane: string;
  readonly lastBatch: number;
}

const laneRow = z.object({ lane: z.string(), lastBatch: z.number() });
const laneName = z.object({ lane: z.string() });

/** Takes a lane, or keeps it, for so long; undefined while another relay has it. */
export function takeLane(
  session: Session,
  { lane, owner, leaseMs }: { readonly lane: string; readonly owner: string; readonly leaseMs: number },
): Promise<HeldLane | undefined> {
  return rowOf(
    session,
    laneRow,
    sql.unsafe`
      insert into tasktrail_outbox_lanes as held (lane, owner, leased_until)
      values (${lane}, ${owner}, now() + ${leaseMs} * interval '1 ms')
      on conflict (lane) do update set owner = excluded.owner, leased_until = excluded.leased_until
      where held.owner = excluded.owner or held.leased_until < now()
      returning lane, last_batch::double precision as "lastBatch"`,
  );
}

/** Keeps all lanes of a relay for so long; gives those that are still its own. */
export async function keepLanes(session: Session, owner: string, leaseMs: number): Promise<string[]> {
  const kept = await rowsOf(
    session,
    laneName,
    sql.unsafe`
      update tasktrail_outbox_lanes set leased_until = now() + ${leaseMs} * interval '1 ms'
      where owner = ${owner} and leased_until >= now() returning lane`,
  );
  return kept.map(({ lane }) => lane);
}

/** Gives up a lane, so that another relay need not wait for the end of its lease. */
export async function leaveLane(session: Session, lane: string, owner: string): Promise<void> {
  await session.query(sql.unsafe`
    update tasktrail_outbox_lanes set leased_until = '-infinity' where lane = ${lane} and owner = ${owner}`);
}

/** The lanes of a namespace that nobody holds, whether there is something to do or not. */
export async function findFreeLanes(session: Session, namespace: string): Promise<string[]> {
  const found = await rowsOf(
    session,
    laneName,
    sql.unsafe`
      select lane from tasktrail_outbox_lanes
      where split_part(lane, ':', 1) = ${namespace} and leased_until < now() order by lane`,
  );
  return found.map(({ lane }) => lane);
}

/** The lanes of a namespace in which rows wait: as many looks into the index as there are lanes, however many rows. */
export async function findWaitingLanes(session: Session, namespace: string): Promise<string[]> {
  const from = `${namespace}:`;
  const found = await rowsOf(
    session,
    laneName,
    sql.unsafe`
      with recursive lanes as (
        (select lane from tasktrail_outbox
         where batch is null and parked_at is null and lane >= ${from} order by lane limit 1)
        union all
        select (select waiting.lane from tasktrail_outbox waiting
                where waiting.batch is null and waiting.parked_at is null and waiting.lane > lanes.lane order by waiting.lane limit 1)
        from lanes where starts_with(lanes.lane, ${from})
      )
      select lane from lanes where starts_with(lane, ${from})`,
  );
  return found.map(({ lane }) => lane);
}

/** The next rows of a lane that are in no batch, in the order in which they were written. */
export function findWaitingItems(session: Session, lane: string, limit: number): Promise<OutboxItem[]> {
  return rowsOf(
    session,
    waitingRow,
    sql.unsafe`
      select ${itemColumns} from tasktrail_outbox
      where lane = ${lane} and batch is null and parked_at is null
      order by tasktrail_outbox.id limit ${limit}`,
  );
}

const assignText = `
  with held as (
    update tasktrail_outbox_lanes set last_batch = last_batch + 1
    where lane = $1 and owner = $2 and last_batch = $3 returning last_batch
  )
  update tasktrail_outbox set batch = held.last_batch, batched_at = now() from held where id = any($4::bigint[])`;

/** Puts rows into the batch after the last one. False, and nothing is done, when the lane is another relay's by now. */
export async function assignBatch(
  session: Session,
  { lane, lastBatch, owner }: HeldLane & { readonly owner: string },
  ids: readonly string[],
): Promise<boolean> {
  return (await changed(session, statement(assignText, [lane, owner, lastBatch, ids]))) > 0;
}

/** Takes the first batch after a number that still has rows, to send it anew: from now on counts how long its rows are kept. Undefined when there is none. */
export async function takeBatchAfter(
  session: Session,
  lane: string,
  after: number,
): Promise<{ readonly number: number; readonly items: readonly OutboxItem[] } | undefined> {
  const rows = await rowsOf(
    session,
    waitingRow.extend({ batch: z.number() }),
    sql.unsafe`
      with taken as (
        update tasktrail_outbox set batched_at = now()
        where lane = ${lane} and batch = (
          select min(batch) from tasktrail_outbox where lane = ${lane} and batch > ${after}
        )
        returning id, item, record, created_at, batch
      )
      select ${itemColumns}, batch::double precision as batch from taken as tasktrail_outbox order by tasktrail_outbox.id`,
  );
  const [first] = rows;
  return first === undefined ? undefined : { number: first.batch, items: rows };
}

/** Raises a lane's last batch: Redis has taken more than Postgres knows of. False when Postgres does know of it. */
export async function raiseLastBatch(session: Session, { lane, lastBatch }: HeldLane): Promise<boolean> {
  const count = await changed(
    session,
    sql.unsafe`
      update tasktrail_outbox_lanes set last_batch = ${lastBatch}
      where lane = ${lane} and last_batch < ${lastBatch}`,
  );
  return count > 0;
}

/** Sets a row aside, with the reason. */
export async function parkItem(session: Session, id: string, error: string): Promise<void> {
  await session.query(sql.unsafe`
    update tasktrail_outbox set parked_at = now(), error = ${error}, batch = null where id = ${id}::bigint`);
}

/** Deletes the rows of batches up to one. Those that are parked stay. */
export async function deleteBatches(session: Session, lane: string, upTo: number): Promise<number> {
  return changed(
    session,
    sql.unsafe`delete from tasktrail_outbox where lane = ${lane} and batch <= ${upTo} and parked_at is null`,
  );
}

/** The same for rows that no archive waits for, once they were put into their batch so long ago. */
export async function deleteOldBatches(
  session: Session,
  { lane, upTo, keepMs }: { readonly lane: string; readonly upTo: number; readonly keepMs: number },
): Promise<number> {
  return changed(
    session,
    sql.unsafe`
      delete from tasktrail_outbox
      where lane = ${lane} and batch <= ${upTo} and batched_at < now() - ${keepMs} * interval '1 ms' and parked_at is null`,
  );
}

const outboxState = z.object({
  lane: z.string(),
  waiting: z.number(),
  sent: z.number(),
  parked: z.number(),
  oldestWaitingMs: z.number().nullable(),
  owner: z.string().nullable(),
});
/** How a lane's outbox is. `sent`: rows that are kept until the archive has their events. */
export type OutboxState = Readonly<z.infer<typeof outboxState>>;

/** The outbox of each lane of a namespace. */
export function listOutbox(session: Session, namespace: string): Promise<OutboxState[]> {
  return rowsOf(
    session,
    outboxState,
    sql.unsafe`
      select lane, count(id) filter (where batch is null and parked_at is null)::double precision as waiting,
        count(id) filter (where batch is not null and parked_at is null)::double precision as sent,
        count(id) filter (where parked_at is not null)::double precision as parked,
        (date_part('epoch', now() - min(created_at) filter (where batch is null and parked_at is null)) * 1000)::double precision as "oldestWaitingMs",
        max(owner) filter (where leased_until >= now()) as owner
      from tasktrail_outbox full join tasktrail_outbox_lanes using (lane)
      where split_part(lane, ':', 1) = ${namespace}
      group by lane order by lane`,
  );
}
