import { setTimeout as delay } from "node:timers/promises";
import pg from "pg";
import { onSmallDisk } from "../full-disk.ts";
import type { Order } from "../programs/order.ts";
import { type Scenario, type Stage, UNTOUCHED } from "../scenario.ts";

const CONCURRENCY = 50;
const PACED: Partial<Order> = { inFlight: 50, pauseMs: 100, ms: 5 };

/** Postgres is killed with -9 and comes back, again and again. */
export const postgresDown: Scenario = {
  name: "postgres-kill",
  what: "Postgres is killed with -9 and restarted, three times: runs go on meanwhile, and the rows equal the ledger's fold",
  sizes: { ladder: 5_000, small: 1_000 },
  lease: UNTOUCHED,
  allowedDuplicates: () => 0,
  hasPostgres: true,
  play: (stage) =>
    whileProjecting(stage, async () => {
      for (let round = 0; round < 3; round += 1) {
        await delay(stage.random.between(500, 1_500));
        await stage.postgres?.kill();
        await delay(500);
        await stage.postgres?.restart();
      }
    }),
};

/** Every statement that writes rows takes long. */
export const postgresSlow: Scenario = {
  name: "postgres-slow",
  what: "each statement that writes rows takes 300 ms, far longer than the events take to come: runs go on, batches grow, and the rows equal the ledger's fold",
  sizes: { ladder: 5_000, small: 1_000 },
  lease: UNTOUCHED,
  allowedDuplicates: () => 0,
  hasPostgres: true,
  play: (stage) => whileProjecting(stage, () => withTrigger(stage, "perform pg_sleep(0.3);", 6_000)),
};

/** Another session takes the same locks in another order. */
export const postgresDeadlocks: Scenario = {
  name: "postgres-deadlock",
  what: "another session locks the projector's rows in the other order, so that Postgres breaks one deadlock after the other: the rows equal the ledger's fold",
  sizes: { ladder: 5_000, small: 1_000 },
  lease: UNTOUCHED,
  allowedDuplicates: () => 0,
  hasPostgres: true,
  postgresArgs: ["-c", "deadlock_timeout=20ms"],
  play: (stage) =>
    whileProjecting(stage, async () => {
      const broken = await withClient(stage, (client) => crossLocks(client, 5_000));
      stage.remark(`${broken} deadlocks`);
      if (broken === 0) stage.note("there was no deadlock");
    }),
};

/** Postgres has no room for another row. */
export const postgresFull: Scenario = {
  name: "postgres-full",
  what: "the disk of the rows is full for some seconds (a small one, mounted for it; where that is not allowed, a trigger raises the same SQLSTATE 53100): runs go on, the projector waits, and the rows equal the ledger's fold",
  sizes: { ladder: 5_000, small: 1_000 },
  lease: UNTOUCHED,
  allowedDuplicates: () => 0,
  hasPostgres: true,
  play: (stage) => whileProjecting(stage, () => withClient(stage, (client) => whileFull(stage, client, 4_000))),
};

async function whileFull(stage: Stage, client: pg.Client, forMs: number): Promise<void> {
  await using disk = await onSmallDisk(client, "task_runs");
  stage.remark(disk === undefined ? "by a trigger" : "a disk that was full");
  if (disk === undefined) return withTrigger(stage, FULL, forMs);
  disk.fill();
  const refusal = await client.query(PROBE).catch(({ code }: pg.DatabaseError) => code);
  if (refusal !== "53100") stage.note("the disk was not full");
  await delay(forMs);
  disk.clear();
}

const PROBE = "create table probe tablespace small as select repeat('x', 1000) from generate_series(1, 100)";
const FULL = "raise exception 'could not extend file: no space left on device' using errcode = '53100';";

/** Has a worker and a projector at work while something happens, and until all runs have ended. */
async function whileProjecting(stage: Stage, harm: () => Promise<unknown>): Promise<void> {
  await stage.workers(1, { concurrency: CONCURRENCY });
  await stage.projector();
  const produced = stage.produce(stage.size, PACED);
  await tablesAreThere(stage);
  await harm();
  stage.healed();
  await produced;
  await stage.endings(stage.size);
}

async function withClient<T>(stage: Stage, use: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client(stage.postgres?.url);
  await client.connect();
  try {
    return await use(client);
  } finally {
    await client.end();
  }
}

/** The projector makes its tables when it starts. */
async function tablesAreThere(stage: Stage): Promise<void> {
  await withClient(stage, async (client) => {
    for (;;) {
      const { rows } = await client.query("select 1 from task_runs limit 1").catch(() => ({ rows: [] }));
      if (rows.length > 0) return;
      await delay(50);
    }
  });
}

/** Has a trigger on the rows' table do something for so long. */
async function withTrigger(stage: Stage, body: string, forMs: number): Promise<void> {
  await withClient(stage, async (client) => {
    await client.query(`
      create function harm() returns trigger language plpgsql as $$ begin ${body} return null; end $$;
      create trigger harm before insert or update on task_runs for each statement execute function harm();
    `);
    await delay(forMs);
    await client.query("drop function harm() cascade");
  });
}

/** Locks the rows, then the checkpoint; the projector takes them the other way round. Gives how many deadlocks Postgres has seen. */
async function crossLocks(client: pg.Client, forMs: number): Promise<number> {
  const until = performance.now() + forMs;
  await client.query("set deadlock_timeout = '500ms'"); // so that as a rule it is the projector's transaction that is broken
  while (performance.now() < until) {
    await client.query("begin");
    await client.query("lock table task_runs in exclusive mode");
    await delay(15);
    const isOurs = await client.query("select 1 from projection_checkpoints for update").then(
      () => false,
      () => true,
    );
    await client.query(isOurs ? "rollback" : "commit");
    await delay(20);
  }
  const { rows } = await client.query("select deadlocks from pg_stat_database where datname = current_database()");
  return Number(rows[0]?.deadlocks);
}
