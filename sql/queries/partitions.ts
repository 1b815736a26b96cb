import { type DatabasePool, sql } from "slonik";
import { transactionOnce } from "../pool.ts";
import { statement } from "../statement.ts";

/** One partition of the archive holds the entries of one day (UTC). */
export const PARTITION_MS = 86_400_000;
/** Whoever makes or drops partitions waits for it. */
export const PARTITION_LOCK = 7_264_110_360;

/** The name of a day's partition, by the day's number since 1970. */
export function partitionName(day: number): string {
  return `ledger_entries_${new Date(day * PARTITION_MS).toISOString().slice(0, 10).replaceAll("-", "")}`;
}

/**
 * Makes the archive's partitions for some days, where they are missing. A day whose entries went to the default partition
 * before stays there. Waits at most two seconds for a lock and throws after that: there is the default partition meanwhile.
 */
export async function ensurePartitions(pool: DatabasePool, days: readonly number[]): Promise<void> {
  for (const day of days) {
    const name = partitionName(day);
    const found = await pool.any(sql.unsafe`select to_regclass(${name}) is not null as exists`);
    if (!(found[0] as { exists: boolean }).exists) await createPartition(pool, name, day);
  }
}

/** Attached and not created in place: that would lock the whole archive against readers. */
function createPartition(pool: DatabasePool, name: string, day: number): Promise<void> {
  const from = day * PARTITION_MS;
  return transactionOnce(pool, async (session) => {
    await session.query(sql.unsafe`select set_config('lock_timeout', '2000', true)`);
    await session.query(sql.unsafe`select pg_advisory_xact_lock(${PARTITION_LOCK})`);
    const taken = await session.any(sql.unsafe`
      select exists (select from ledger_entries_default where ms >= ${from} and ms < ${from + PARTITION_MS}) as taken,
        to_regclass(${name}) is not null as exists`);
    const { taken: isTaken, exists } = taken[0] as { taken: boolean; exists: boolean };
    if (isTaken || exists) return;
    await session.query(statement(`create table ${name} (like ledger_entries including all)`, []));
    await session.query(
      statement(
        `alter table ledger_entries attach partition ${name} for values from (${from}) to (${from + PARTITION_MS})`,
        [],
      ),
    );
  });
}
