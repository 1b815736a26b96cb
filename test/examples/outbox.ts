// A dispatch that commits with an order, and one that is rolled back with it.
import { createPool, type DatabasePool, sql } from "slonik";
import { createBroker, createProjector, createWorker, type RunHandle } from "tasktrail";
import { z } from "zod";

const { DATABASE_URL = "" } = process.env;
const row = z.object({ id: z.number() });
const broker = createBroker();

const confirmOrder = broker.task({
  name: "confirm_order",
  input: z.object({ order: z.number() }),
  run: ({ order }) => `order ${order} is confirmed`,
});

// #region place-order
/** Saves an order and dispatches its confirmation: both or neither. */
export async function placeOrder(pool: DatabasePool, item: string): Promise<RunHandle<string>> {
  return pool.transaction(async (session) => {
    const order = await session.oneFirst(sql.type(row)`insert into orders (item) values (${item}) returning id`);
    if (item === "") throw new Error("nothing was ordered");
    // Its id is drawn already; the run itself is there once this has committed.
    return confirmOrder.with({ session, labels: { kind: "order" } }).kiq({ order });
  });
}
// #endregion

await using worker = createWorker(broker);
await using projector = createProjector(broker); // relays, too
const roles = [worker.run(), projector.run()];
await using pool = {
  ...(await createPool(DATABASE_URL)),
  async [Symbol.asyncDispose]() {
    await this.end();
  },
};
await pool.query(sql.unsafe`create table orders (id int generated always as identity primary key, item text)`);
while (!projector.health().isReady) await new Promise((resolve) => setTimeout(resolve, 20)); // it makes the tables

const run = await placeOrder(pool, "tea");
console.log(await run.result()); // order 1 is confirmed
await placeOrder(pool, "").catch((error: Error) => console.log(error.message)); // nothing was ordered

await Promise.all([worker.stop(), projector.stop()]);
await Promise.all(roles);
