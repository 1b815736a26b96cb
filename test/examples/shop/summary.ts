import { type DatabasePool, sql } from "slonik";
import { z } from "zod";

const counted = z.object({ status: z.string(), count: z.coerce.number() });
const one = z.object({ count: z.coerce.number() });

/** What the tables and the ledger hold, as lines. */
export async function summarise(pool: DatabasePool): Promise<string[]> {
  const runs = await pool.any(
    sql.type(counted)`select status, count(*) as count from task_runs group by status order by status`,
  );
  const crons = await pool.any(
    sql.type(counted)`select status, count(*) as count from cron_job_runs group by status order by status`,
  );
  const events = await pool.oneFirst(sql.type(one)`select coalesce(sum(event_count), 0) as count from ledger_entries`);
  const rows = await pool.oneFirst(
    sql.type(one)`select (select count(*) from task_runs) + (select count(*) from cron_job_runs) as count`,
  );
  const mails = await pool.oneFirst(sql.type(one)`select count(*) as count from shop_welcomes`);
  const products = await pool.oneFirst(sql.type(one)`select count(*) as count from shop_products`);
  const offers = await pool.oneFirst(sql.type(one)`select count(*) as count from shop_offers`);
  const list = (counts: readonly { status: string; count: number }[]) =>
    counts.map(({ status, count }) => `${count} ${status}`).join(", ") || "none";
  return [
    `runs        ${list(runs)}`,
    `cron runs   ${list(crons)}`,
    `ledger      ${events} events`,
    `projected   ${rows} rows`,
    `work done   ${mails} users welcomed, ${products} products from uploads, ${offers} offers synced`,
  ];
}
