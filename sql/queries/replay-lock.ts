import { type DatabasePool, sql } from "slonik";
import { z } from "zod";
import { rowsOf } from "../statement.ts";

const CLASS = 726_411;

/** Somebody else is replaying the same. */
export class ReplayRunning extends Error {
  readonly code = "replay_running";
  constructor(name: string, pid: number | undefined) {
    super(
      `Another replay of ${name} is under way in this namespace${pid === undefined ? "" : ` (Postgres session ${pid})`}. Wait until it is done, or end it: what it has folded is gone on with.`,
    );
    this.name = "ReplayRunning";
  }
}

/**
 * Does something that only one may do at a time for a projection and a namespace, whatever process it is in. The right goes with the database session: whoever
 * is killed has given it back. Throws ReplayRunning.
 */
export function aloneWith<T>(
  pool: DatabasePool,
  { namespace, name }: { readonly namespace: string; readonly name: string },
  work: () => Promise<T>,
): Promise<T> {
  const key = sql.fragment`${CLASS}, hashtext(${`${namespace} ${name}`})`;
  return pool.connect(async (session) => {
    const [got] = await rowsOf(
      session,
      z.object({ isOurs: z.boolean() }),
      sql.unsafe`select pg_try_advisory_lock(${key}) as "isOurs"`,
    );
    if (got?.isOurs !== true) {
      const holders = await rowsOf(
        session,
        z.object({ pid: z.number() }),
        sql.unsafe`
          select pid from pg_locks where locktype = 'advisory' and granted and database = (select oid from pg_database where datname = current_database())
            and classid = ${CLASS}::oid and objid::bigint = (hashtext(${`${namespace} ${name}`})::bigint & 4294967295)`,
      );
      throw new ReplayRunning(name, holders[0]?.pid);
    }
    try {
      return await work();
    } finally {
      await session.query(sql.unsafe`select pg_advisory_unlock(${key})`).catch(() => {}); // a session that is gone has given it back
    }
  });
}
