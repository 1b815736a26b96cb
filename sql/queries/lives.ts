import { sql } from "slonik";
import { z } from "zod";
import { rowsOf, type Session } from "../statement.ts";

const lifeRow = z.object({
  number: z.number(),
  incarnation: z.string(),
  afterMs: z.number(),
  afterSeq: z.number(),
  isRepaired: z.boolean(),
});

/**
 * One life of a lane: what it has recorded since `after`, the last entry that it shares with the lives before (0-0: none). In a new life, what
 * Redis had lost is first brought back from the archive; until then it is not repaired.
 */
export type Life = Readonly<z.infer<typeof lifeRow>>;

/** The lives of a lane, first to last. */
export function findLives(session: Session, lane: string): Promise<Life[]> {
  return rowsOf(
    session,
    lifeRow,
    sql.unsafe`
      select number, incarnation, after_ms::double precision as "afterMs", after_seq::double precision as "afterSeq",
        repaired_at is not null as "isRepaired"
      from lane_incarnations where lane = ${lane} order by number`,
  );
}

/** Notes that what the lives before had lost is back. */
export async function markRepaired(session: Session, lane: string, incarnation: string): Promise<void> {
  await session.query(sql.unsafe`
    update lane_incarnations set repaired_at = now()
    where lane = ${lane} and incarnation = ${incarnation} and repaired_at is null`);
}

/** From where on the archive has a lane's whole history, in ms; 0: from its beginning. Rows that are older cannot be rebuilt. */
export async function findHorizon(session: Session, lane: string): Promise<number> {
  const rows = await rowsOf(
    session,
    z.object({ keptFromMs: z.number() }),
    sql.unsafe`select kept_from_ms::double precision as "keptFromMs" from ledger_horizons where lane = ${lane}`,
  );
  return rows[0]?.keptFromMs ?? 0;
}

/** Whether this database has an archive: it may be the application's own, and no projector have been at it yet. */
export async function hasArchive(session: Session): Promise<boolean> {
  const rows = await rowsOf(
    session,
    z.object({ exists: z.boolean() }),
    sql.unsafe`select to_regclass('ledger_entries') is not null and to_regclass('ledger_horizons') is not null as exists`,
  );
  return rows[0]?.exists === true;
}
