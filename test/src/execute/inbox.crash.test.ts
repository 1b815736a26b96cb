import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { test } from "node:test";
import { sql } from "slonik";
import { z } from "zod";
import { getDbSession } from "../../../src/deps.ts";
import { provider } from "../../../src/di/provider.ts";
import { createWorker } from "../../../src/worker.ts";
import { openStage, type Stage } from "../relay/stage.ts";

async function openPayments(): Promise<Stage> {
  const stage = await openStage();
  await stage.pool.query(sql.unsafe`create table payments (run uuid, cents int)`);
  return stage;
}

/** The task as it is in a worker that lives. */
function declare({ broker }: Stage, run: (cents: number) => unknown = (cents) => ({ paid: cents })) {
  return broker.task({
    name: "pay",
    input: z.object({ cents: z.number() }),
    inbox: getDbSession,
    retry: { attempts: 2, delay: "1ms" },
    deps: { db: getDbSession },
    async run({ cents }, { db }, { id }) {
      await db.query(sql.unsafe`insert into payments (run, cents) values (${id}, ${cents})`);
      return run(cents);
    },
  });
}

const payments = ({ pool }: Stage) => pool.anyFirst(sql.unsafe`select cents from payments`);

test("a run whose worker died between commit and settling is settled with its result, and not run again", async () => {
  await using stage = await openPayments();
  const pay = declare(stage, () => assert.fail("it was run again"));
  const env = { REDIS_URL: stage.redisUrl, DATABASE_URL: stage.database, TASKTRAIL_NAMESPACE: stage.namespace };
  const file = join(import.meta.dirname, "fixtures/inbox-worker.ts");
  const dying = spawn(process.execPath, ["--conditions=tasktrail-source", file], {
    env: { ...process.env, LOG_LEVEL: "warn", ...env },
    stdio: "inherit",
  });
  const run = await pay.kiq({ cents: 250 });
  assert.deepEqual((await once(dying, "exit")) as unknown[], [null, "SIGKILL"]);
  assert.deepEqual(await payments(stage), [250]);
  stage.run(createWorker(stage.broker, { lease: "1s" }));
  assert.deepEqual(await run.result(), { paid: 250 });
  assert.deepEqual(await payments(stage), [250]);
  const history = await stage.ledger.historyOf(run.id);
  assert.deepEqual(history, ["run.enqueued", "run.started", "run.redelivered", "run.started", "run.succeeded"]);
});

test("an attempt that finds its run done when it wants to commit rolls back, and ends with the result of the first", async () => {
  await using stage = await openPayments();
  const pay = declare(stage, async () => {
    // What another delivery of the run does meanwhile.
    await stage.pool.query(sql.unsafe`insert into tasktrail_inbox (run, result) values (${handle.id}, '{"paid":1}')`);
    return { paid: 2 };
  });
  const handle = await pay.kiq({ cents: 2 });
  stage.run(createWorker(stage.broker));
  assert.deepEqual(await handle.result(), { paid: 1 });
  assert.deepEqual(await payments(stage), []);
});

test("what fails is not done: it is tried again, and noted once it has committed", async () => {
  await using stage = await openPayments();
  let tries = 0;
  const pay = declare(stage, () => {
    tries += 1;
    if (tries === 1) throw new Error("once");
  });
  stage.run(createWorker(stage.broker));
  const run = await pay.kiq({ cents: 3 });
  assert.equal(await run.result(), undefined);
  assert.deepEqual(await payments(stage), [3]);
  assert.deepEqual(await stage.pool.anyFirst(sql.unsafe`select run from tasktrail_inbox`), [run.id]);
});

test("a session of pg will do, and one that gives no rows is told of", async () => {
  await using stage = await openPayments();
  const client = await stage.client();
  const getClient = provider({
    async provide(_, use) {
      await client.query("begin");
      try {
        const used = await use(client);
        await client.query("commit");
        return used;
      } catch (error) {
        await client.query("rollback");
        throw error;
      }
    },
  });
  const getMute = provider({ provide: (_, use) => use(async () => 1) });
  const noted = stage.broker.task({ name: "noted", inbox: getClient, run: () => "done" });
  const mute = stage.broker.task({ name: "mute", inbox: getMute, retry: { attempts: 1 }, run() {} });
  stage.run(createWorker(stage.broker, { concurrency: 1 }));
  assert.equal(await (await noted.kiq()).result(), "done");
  assert.equal(await stage.pool.oneFirst(sql.unsafe`select result from tasktrail_inbox`), '"done"');
  await assert.rejects(
    async () => (await mute.kiq()).result(),
    (error: Error) => /has to give rows/.test(String((error.cause as Error).message)),
  );
});
