// A run that has paid is not run again, whatever its worker has lived to say.
import { sql } from "slonik";
import { createBroker, createProjector, createWorker } from "tasktrail";
import { getDbSession, getPool } from "tasktrail/deps";
import { z } from "zod";

const broker = createBroker();

// #region task
const pay = broker.task({
  name: "pay",
  input: z.object({ account: z.string(), cents: z.int() }),
  inbox: getDbSession, // a run that has committed is not run again
  deps: { db: getDbSession },
  async run({ account, cents }, { db }) {
    await db.query(sql.unsafe`update accounts set cents = cents - ${cents} where id = ${account}`);
    return { paid: cents };
  },
});
// #endregion

const accounts = broker.task({
  name: "accounts",
  deps: { pool: getPool },
  async run(_, { pool }) {
    await pool.query(sql.unsafe`create table accounts (id text primary key, cents int)`);
    await pool.query(sql.unsafe`insert into accounts values (${"ada"}, ${1_000})`);
  },
});
await accounts.call();

await using worker = createWorker(broker);
await using projector = createProjector(broker); // makes the tables, and deletes old rows of the inbox
const roles = [worker.run(), projector.run()];
while (!projector.health().isReady) await new Promise((resolve) => setTimeout(resolve, 20));

console.log((await (await pay.kiq({ account: "ada", cents: 250 })).result()).paid); // 250

await Promise.all([worker.stop(), projector.stop()]);
await Promise.all(roles);
