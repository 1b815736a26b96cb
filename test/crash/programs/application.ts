// An application as a process of its own: each transaction writes an order and dispatches a run, and commits or rolls back by chance.
// What Postgres has of the orders is the witness of what committed; the journal of fates only counts.
import pg from "pg";
import { openJournal } from "../journal.ts";
import { seeded } from "../random.ts";
import type { Fate } from "./fates.ts";
import { declare, openBroker } from "./tasks.ts";

interface Order {
  readonly count: number;
  readonly seed: number;
  /** Transactions at once. */
  readonly inFlight: number;
  readonly pauseMs: number;
  /** Where it is told how each transaction ended. Default: nowhere. */
  readonly fates?: string;
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
pool.on("connect", (client) => void client.on("error", () => {})); // for as long as it lives: a server that dies may say so at any time
const fates = order.fates === undefined ? undefined : openJournal(order.fates);
let left = order.count;
console.log("ready");
await Promise.all(Array.from({ length: order.inFlight }, carryOn));
console.log("done");
await broker.close();
process.exit(0); // a pool whose server was killed may not end

/** One transaction after the other. One that Postgres did not survive is left to its fate. */
async function carryOn(): Promise<void> {
  while (left > 0) {
    await transact().catch(() => new Promise((resolve) => setTimeout(resolve, 100)));
    if (order.pauseMs > 0) await new Promise((resolve) => setTimeout(resolve, order.pauseMs));
  }
}

/** A transaction counts from when its dispatch is written: one that found no Postgres never was. */
async function transact(): Promise<void> {
  const client = await pool.connect();
  let fate: Fate | undefined;
  try {
    await client.query("begin");
    const many = random.between(0, 10) < 2 ? 3 : 1;
    const runs = await work.with({ session: client }).kiqMany(Array.from({ length: many }, (_, n) => ({ n })));
    fate = "cut_off";
    left -= 1;
    await client.query("insert into orders select unnest($1::uuid[])", [runs.map(({ id }) => id)]);
    const ending = random.between(0, 10) < 3 ? "rollback" : "commit";
    await client.query(ending);
    fate = ending === "commit" ? "committed" : "rolled_back";
  } finally {
    if (fate !== undefined) fates?.append([fate]);
    client.release(fate === undefined || fate === "cut_off");
  }
}
