import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { sql } from "slonik";
import { z } from "zod";
import { startRedis } from "../../../src/dev/start-redis.ts";
import { createRelay } from "../../../src/relay.ts";
import { type Random, seeded } from "../../crash/random.ts";
import { eventually } from "../../support/servers.ts";
import { openStage, type Stage } from "./stage.ts";

const TRANSACTIONS = 240;
const AT_ONCE = 6;

/** Transactions of one client: each dispatches some runs, and commits, rolls back, or loses its connection. Gives the runs of those that committed. */
async function transact(stage: Stage, random: Random, count: number): Promise<string[]> {
  const note = stage.broker.task({ name: "note", input: z.object({ n: z.number() }), run() {} });
  const committed: string[] = [];
  let client = await stage.client();
  for (let n = 0; n < count; n += 1) {
    await client.query("begin");
    const inputs = Array.from({ length: random.between(1, 4) }, () => ({ n }));
    const runs = await note.with({ session: client }).kiqMany(inputs);
    const fate = random.between(0, 10);
    if (fate < 6) {
      await client.query("commit");
      committed.push(...runs.map(({ id }) => id));
    } else if (fate < 9) await client.query("rollback");
    else {
      await client.end();
      client = await stage.client();
    }
  }
  return committed;
}

/** Cuts connections of the relays, to Redis and to Postgres, every now and then. */
async function cut(stage: Stage, random: Random, signal: AbortSignal): Promise<void> {
  const { redis } = stage.ledger;
  while (!signal.aborted) {
    await delay(random.between(30, 200));
    if (random.next() < 0.5) {
      await stage.pool.query(sql.unsafe`
        select pg_terminate_backend(pid) from pg_stat_activity
        where application_name = 'tasktrail-relay' and datname = current_database()`);
      continue;
    }
    const ours = String(await redis.client("LIST"))
      .split("\n")
      .filter((line) => line.includes(`name=tasktrail-command`));
    const [, id] = /^id=(\d+)/.exec(ours.length === 0 ? "" : random.pick(ours)) ?? [];
    if (id !== undefined) await redis.client("KILL", "ID", id);
  }
}

test("whatever commits, rolls back and is cut off: dispatched equals committed, each once", async (t) => {
  const seed = Number(process.env.CRASH_SEED ?? Date.now() % 1_000_000);
  t.diagnostic(`seed ${seed}`);
  const random = seeded(seed);
  await using server = await startRedis();
  await using stage = await openStage({ redisUrl: server.url });
  const relays = [createRelay(stage.broker), createRelay(stage.another())];
  for (const relay of relays) stage.run(relay);
  // A session that is cut while slonik asks for the types of the database ends the process: it listens to no error of that one.
  await eventually(() => relays.every((relay) => relay.health().isReady));
  const done = new AbortController();
  const cutting = cut(stage, random, done.signal);
  const shares = Array.from({ length: AT_ONCE }, () => transact(stage, random, TRANSACTIONS / AT_ONCE));
  const committed = (await Promise.all(shares)).flat();
  done.abort();
  await cutting;
  const enqueued = async () =>
    (await stage.ledger.events())
      .filter((event) => event.type === "run.enqueued")
      .map((event) => (event as { run: string }).run);
  await eventually(async () => (await enqueued()).length >= committed.length, { timeoutMs: 30_000 });
  assert.deepEqual((await enqueued()).sort(), committed.sort(), `seed ${seed}`);
});
