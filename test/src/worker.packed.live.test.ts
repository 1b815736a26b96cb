import assert from "node:assert/strict";
import { test } from "node:test";
import pg from "pg";
import { z } from "zod";
import { createBroker } from "../../src/broker.ts";
import { inputOf, listDead, redrive } from "../../src/deliver/dead-letters.ts";
import { engineOf } from "../../src/engine.ts";
import { createProjector } from "../../src/projector.ts";
import { eventually, testDatabase } from "../support/servers.ts";
import { openWork } from "../support/work.ts";

const order = { id: "o-1", lines: Array.from({ length: 300 }, (_, n) => ({ sku: `AB-${n}`, title: "a mug, large" })) };
const schema = z.object({ id: z.string(), lines: z.array(z.object({ sku: z.string(), title: z.string() })) });

test("a large input lies packed in Redis, and is whole for the handler, after a delay and a retry, for readers, and when run again from the dead", async () => {
  await using work = await openWork();
  const seen: unknown[] = [];
  let isBroken = true;
  const pack = work.broker.task({
    name: "pack_order",
    input: schema,
    retry: { attempts: 2, delay: "1ms", backoff: "fixed" },
    run(input) {
      seen.push(input);
      if (isBroken) throw new Error("broken");
    },
  });
  const waiting = await pack.kiq(order);
  const delayed = await pack.with({ delay: "1ms", key: "o-1" }).kiq(order);
  const lying = (await work.redis.xrange(work.keys.tasks, "-", "+")).map(([, fields]) => fields.join(" ")).join(" ");
  assert.ok(lying.length < JSON.stringify(order).length / 2, `${lying.length} characters lie there`);
  assert.deepEqual(((await waiting.events())[0] as { input?: unknown }).input, order);

  work.work();
  await work.ledger.ended([waiting.id, delayed.id]);
  assert.equal(seen.length, 4);
  for (const input of seen) assert.deepEqual(input, order);

  const dead = await listDead(work.redis, work.namespace, { queue: "default" });
  assert.equal(dead.length, 2);
  for (const one of dead) assert.deepEqual(JSON.parse(inputOf(one)), order);
  isBroken = false;
  const again = await redrive(await engineOf(work.broker).lane("default"), dead[0] as (typeof dead)[0]);
  const [ending] = await work.ledger.ended([again.run]);
  assert.equal(ending?.type, "run.succeeded");
  assert.deepEqual(seen.at(-1), order);
  const enqueued = (await work.ledger.events()).filter((event) => event.type === "run.enqueued");
  assert.equal(enqueued.length, 3);
  for (const { input } of enqueued) assert.deepEqual(input, order);
});

test("the archive has large inputs in plain JSON, which SQL can read", async () => {
  await using work = await openWork();
  const database = await testDatabase();
  const pack = work.broker.task({ name: "pack_order", input: schema, run() {} });
  await pack.kiqMany([order, { id: "o-2", lines: [] }]);
  const { url, namespace } = work;
  const reader = createBroker({ redis: url, namespace, database });
  await using projector = createProjector(reader);
  projector.run().catch((error: unknown) => work.complaints.push(error));
  const client = new pg.Client(database);
  await client.connect();
  try {
    const rows = await eventually(async () => {
      const found = await client
        .query("select event from ledger_events where type = 'run.enqueued' order by index")
        .catch(() => ({ rows: [] }));
      return found.rows.length === 2 && (found.rows as { event: { input: unknown; packed?: unknown } }[]);
    });
    assert.deepEqual(
      rows.map(({ event }) => event.input),
      [order, { id: "o-2", lines: [] }],
    );
    assert.ok(rows.every(({ event }) => event.packed === undefined));
  } finally {
    await client.end();
    await projector.stop();
    await reader.close();
  }
});

test("an entry whose body cannot be unpacked ends as undecodable", async () => {
  await using work = await openWork();
  const pack = work.broker.task({ name: "pack_order", input: schema, run() {} });
  const run = await pack.kiq(order);
  const [[id, fields] = ["", []]] = await work.redis.xrange(work.keys.tasks, "-", "+");
  await work.redis.xdel(work.keys.tasks, id);
  await work.redis.xadd(
    work.keys.tasks,
    "*",
    ...fields.map((field) => (field.length > 500 ? field.slice(0, 400) : field)),
  );
  work.work();
  const [ending] = await work.ledger.ended([run.id]);
  assert.ok(ending?.type === "run.died" && ending.reason === "undecodable", JSON.stringify(ending));
});
