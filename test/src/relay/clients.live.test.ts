import assert from "node:assert/strict";
import { test } from "node:test";
import { sql as drizzleSql } from "drizzle-orm";
import { drizzle } from "drizzle-orm/node-postgres";
import { CompiledQuery, Kysely, PostgresDialect } from "kysely";
import pg from "pg";
import { z } from "zod";
import type { SqlSession } from "../../../src/define/session.ts";
import { provider } from "../../../src/di/provider.ts";
import { createRelay } from "../../../src/relay.ts";
import { createWorker } from "../../../src/worker.ts";
import { openStage } from "./stage.ts";

/** Runs what it is given in a transaction of a client, and hands it the session as docs/outbox.md writes it for that client. */
type Transact = <T>(work: (session: SqlSession) => Promise<T>) => Promise<T>;

const CLIENTS: Readonly<Record<string, (pool: pg.Pool) => Transact>> = {
  Kysely(pool) {
    const db = new Kysely<object>({ dialect: new PostgresDialect({ pool }) });
    return (work) =>
      db.transaction().execute((trx) => work((text, values) => trx.executeQuery(CompiledQuery.raw(text, values))));
  },
  Drizzle(pool) {
    const db = drizzle({ client: pool });
    return (work) =>
      db.transaction((tx) =>
        work((text, values) => {
          const parts = text.split(/\$(\d+)/); // what stands at odd places is the number of a parameter
          return tx.execute(
            drizzleSql.join(
              parts.map((part, n) => (n % 2 === 0 ? drizzleSql.raw(part) : drizzleSql`${values[Number(part) - 1]}`)),
            ),
          );
        }),
      );
  },
};

for (const [name, client] of Object.entries(CLIENTS)) {
  test(`${name}: what commits is dispatched, what rolls back is not, and its session keeps an inbox`, async () => {
    await using stage = await openStage();
    const pool = new pg.Pool({ connectionString: stage.database });
    await using _ = { [Symbol.asyncDispose]: () => pool.end() };
    const transact = client(pool);
    const double = stage.broker.task({ name: "double", input: z.object({ n: z.number() }), run: ({ n }) => n * 2 });
    const getSession = provider({ provide: (_deps, use) => transact((session) => use(session)) });
    let called = 0;
    const counted = stage.broker.task({
      name: "counted",
      inbox: getSession,
      retry: { attempts: 2, delay: "1ms" },
      async run(_input, _deps, run) {
        called += 1;
        if (called > 1) return called;
        // Another delivery of it commits first: this one has to find its row, and take its result.
        await pool.query("insert into tasktrail_inbox (run, result) values ($1, '41')", [run.id]);
        return called;
      },
    });
    stage.run(createRelay(stage.broker));
    stage.run(createWorker(stage.broker));
    const rolledBack = new Error("rolled back, as it was meant to");
    await assert.rejects(
      transact(async (session) => {
        await double.with({ session }).kiq({ n: 1 });
        throw rolledBack;
      }),
      rolledBack,
    );
    const runs = await transact(async (session) => [
      await double.with({ session }).kiq({ n: 2 }),
      ...(await double.with({ session }).kiqMany([{ n: 3 }, { n: 4 }])),
    ]);
    assert.deepEqual(await Promise.all(runs.map((run) => run.result())), [4, 6, 8]);
    assert.equal(await (await counted.kiq()).result(), 41);
    const enqueued = (await stage.ledger.events()).filter((event) => event.type === "run.enqueued");
    assert.equal(enqueued.length, 4);
  });
}
