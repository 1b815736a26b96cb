// biome-ignore-all lint: only the types of it are looked at
// Teams without slonik: the session as a provider of their own.

import { sql as drizzleSql } from "drizzle-orm";
import { drizzle } from "drizzle-orm/node-postgres";
import { CompiledQuery, Kysely, type Transaction } from "kysely";
import { Pool } from "pg";
import { createBroker, provider, type SqlSession } from "tasktrail";
import { getDbSession, getLogger } from "tasktrail/deps";
import { z } from "zod";

const broker = createBroker();
const task = broker.task({ name: "t", input: z.object({ id: z.string() }), run() {} });

// pg
export const getPgPool = provider({
  scope: "worker",
  async provide(_, use) {
    const pool = new Pool();
    try {
      return await use(pool);
    } finally {
      await pool.end();
    }
  },
});
export const getPgSession = provider({
  deps: { pool: getPgPool },
  async provide({ pool }, use) {
    const client = await pool.connect();
    try {
      await client.query("begin");
      const used = await use(client);
      await client.query("commit");
      return used;
    } catch (error) {
      await client.query("rollback");
      throw error;
    } finally {
      client.release();
    }
  },
});
// drizzle
export const getDrizzle = provider({
  scope: "worker",
  deps: { pool: getPgPool },
  provide: ({ pool }, use) => use(drizzle({ client: pool })),
});
export const getDrizzleTx = provider({
  deps: { db: getDrizzle },
  provide: ({ db }, use) => db.transaction((tx) => use(tx)),
});
// kysely
interface Tables {
  users: { id: string; name: string };
}
declare const kysely: Kysely<Tables>;
export const getKyselyTx = provider({
  provide: (_, use) => kysely.transaction().execute((trx) => use<Transaction<Tables>>(trx)),
});
// Prisma's interactive transaction, by its published signature
interface PrismaTx {
  user: { create(a: { data: { id: string } }): Promise<{ id: string }> };
  $executeRawUnsafe(query: string, ...values: unknown[]): Promise<number>;
}
declare const prisma: { $transaction<R>(fn: (tx: PrismaTx) => Promise<R>, options?: { timeout?: number }): Promise<R> };
export const getPrismaTx = provider({ provide: (_, use) => prisma.$transaction((tx) => use(tx), { timeout: 60_000 }) });

export const all = broker.task({
  name: "all",
  deps: { pg: getPgSession, dz: getDrizzleTx, ky: getKyselyTx, pr: getPrismaTx, sl: getDbSession, logger: getLogger },
  async run(_, { pg, dz, ky, pr, sl }) {
    await pg.query("select $1::int", [1]);
    await dz.execute(drizzleSql`select 1`);
    await ky.selectFrom("users").select("id").execute();
    await pr.user.create({ data: { id: "a" } });
    // the outbox takes each of them
    await task.with({ session: pg }).kiq({ id: "1" });
    await task.with({ session: sl }).kiq({ id: "1" });
    await task.with({ session: (text, values) => pr.$executeRawUnsafe(text, ...values) }).kiq({ id: "1" });
    await task.with({ session: (text, values) => ky.executeQuery(CompiledQuery.raw(text, values)) }).kiq({ id: "1" });
    const viaDrizzle: SqlSession = (text, values) =>
      dz.execute(
        drizzleSql.join(
          text
            .split(/\$(\d+)/)
            .map((part, n) => (n % 2 === 0 ? drizzleSql.raw(part) : drizzleSql`${values[Number(part) - 1]}`)),
        ),
      );
    await task.with({ session: viaDrizzle }).kiqMany([{ id: "1" }]);
  },
});
