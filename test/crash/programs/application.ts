// An application as a process of its own: each transaction writes an order and dispatches a run, and commits or rolls back by chance.
// What Postgres has of the orders is the witness of what committed.
import pg from "pg";
import { seeded } from "../random.ts";
import { declare, openBroker } from "./tasks.ts";

interface Order {
  readonly count: number;
  readonly seed: number;
  /** Transactions at once. */
  readonly inFlight: number;
  readonly pauseMs: number;
}

const order = JSON.parse(process.env.CRASH_ORDER ?? "{}") as Order;
const random = seeded(order.seed);
const broker = openBroker();
const { work } = declare(broker);
const pool = new pg.Pool({
  connectionString: process.env.DATABASE_URL,
  max: order.inFlight,
  connectionTimeoutMillis: 5_000,
});
pool.on("error", () => {});
let left = order.count;
console.log("ready");
await Promise.all(Array.from({ length: order.inFlight }, carryOn));
console.log("done");
await broker.close();
process.exit(0); // a pool whose server was killed may not end

/** One transaction after the other. One that Postgres did not survive is left to its fate. */
async function carryOn(): Promise<void> {
  while (left > 0) {
    left -= 1;
    await transact().catch(() => new Promise((resolve) => setTimeout(resolve, 100)));
    if (order.pauseMs > 0) await new Promise((resolve) => setTimeout(resolve, order.pauseMs));
  }
}

async function transact(): Promise<void> {
  const client = await pool.connect();
  client.on("error", () => {});
  let isOver = false;
  try {
    await client.query("begin");
    const many = random.between(0, 10) < 2 ? 3 : 1;
    const runs = await work.with({ session: client }).kiqMany(Array.from({ length: many }, (_, n) => ({ n })));
    await client.query("insert into orders select unnest($1::uuid[])", [runs.map(({ id }) => id)]);
    await client.query(random.between(0, 10) < 3 ? "rollback" : "commit");
    isOver = true;
  } finally {
    client.removeAllListeners("error");
    client.release(!isOver);
  }
}
