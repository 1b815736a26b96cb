import assert from "node:assert/strict";
import { test } from "node:test";
import { sql } from "slonik";
import { z } from "zod";
import { startRedis } from "../../../src/dev/start-redis.ts";
import { createProjector } from "../../../src/projector.ts";
import { createWorker } from "../../../src/worker.ts";
import { readLedger } from "../../crash/oracle.ts";
import { emptyTally, take } from "../../crash/tally.ts";
import { eventually } from "../../support/servers.ts";
import { openStage } from "./stage.ts";

test("a Redis that loses its tail under load loses no dispatch: outbox and archive bring back each once between them", async () => {
  await using server = await startRedis();
  await using stage = await openStage({ redisUrl: server.url });
  const { pool, broker, ledger, namespace } = stage;
  const work = broker.task({ name: "work", input: z.object({ n: z.number() }), run() {} });
  stage.run(createProjector(broker));
  stage.run(createWorker(broker, { lease: "1s" }));
  const runs: string[] = [];
  let isOver = false;
  const load = Array.from({ length: 4 }, async () => {
    while (!isOver)
      await pool.transaction(async (session) => {
        const made = await work.with({ session }).kiqMany([{ n: 1 }, { n: 2 }, { n: 3 }]);
        runs.push(...made.map(({ id }) => id));
      });
  });
  const ended = async () =>
    Number(await pool.oneFirst(sql.unsafe`select count(*)::int from task_runs where ended_at is not null`));
  const slowly = { timeoutMs: 60_000 };
  await eventually(async () => (await ended()) > 50, slowly);
  await ledger.redis.call("SAVE");
  const saved = runs.length;
  await eventually(async () => (await ended()) > saved + 50, slowly);
  await server.kill();
  await server.restart();
  const back = runs.length;
  await eventually(() => runs.length > back + 50, slowly);
  isOver = true;
  await Promise.all(load);
  await eventually(async () => (await ended()) >= runs.length, slowly);
  const rows = await pool.anyFirst(sql.unsafe`select id from task_runs`);
  assert.deepEqual(rows.map(String).sort(), runs.toSorted());
  assert.equal(await pool.oneFirst(sql.unsafe`select count(*)::int from tasktrail_outbox`), 0);
  const tally = emptyTally();
  for await (const event of readLedger(ledger.redis, namespace, "default")) take(tally, event);
  assert.deepEqual(tally.wrongTurns, []);
  assert.ok([...tally.runs.values()].every(({ endings }) => endings <= 1));
  assert.ok((await ledger.events()).some((event) => event.type === "lane.repaired"));
});
