import assert from "node:assert/strict";
import { test } from "node:test";
import { createBroker, createProjector } from "tasktrail";
import { openPool } from "../../sql/pool.ts";
import { listCheckpoints } from "../../sql/queries/checkpoints.ts";
import { laneKeys } from "../../streams/keys.ts";
import { openLedger } from "../support/ledger.ts";
import { eventually, testDatabase, testNamespace, testRedis } from "../support/servers.ts";

test("a broker's ledger is read from Redis alone, and with Postgres beyond what Redis still has", async () => {
  const redis = await testRedis();
  const namespace = testNamespace();
  const database = await testDatabase();
  await using broker = createBroker({ redis, namespace, database });
  await using bare = createBroker({ redis, namespace });
  const noop = broker.task({ name: "noop", run() {} });
  const [first] = [await noop.kiq(), await noop.kiq(), await noop.kiq()];
  const read = async (of: typeof broker, query = {}) => (await Array.fromAsync(of.events(query))).length;
  assert.equal(await read(broker), 3, "the database has no archive yet");
  assert.equal(await read(bare), 3);
  await using projector = createProjector(broker);
  const projecting = projector.run();
  const pool = await openPool(database, { size: 1 });
  await eventually(async () => (await listCheckpoints(pool, namespace))[0]?.eventsApplied === 3);
  await pool.end();
  await projector.stop();
  await projecting;
  await using ledger = await openLedger(redis, namespace);
  await ledger.redis.xtrim(laneKeys(namespace, "default").events, "MAXLEN", 1);
  assert.equal(await read(bare), 1);
  assert.equal(await read(broker), 3);
  assert.equal(await read(broker, { run: first.id, types: ["run.enqueued"] }), 1);
});

test("following ends with its signal, and what was opened for it is closed", async () => {
  const redis = await testRedis();
  const namespace = testNamespace();
  await using broker = createBroker({ redis, namespace });
  const noop = broker.task({ name: "noop", run() {} });
  await noop.kiq();
  const stopping = new AbortController();
  const seen: string[] = [];
  for await (const event of broker.events({ follow: true, signal: stopping.signal })) {
    seen.push(event.type);
    if (seen.length < 3) await noop.kiq();
    else stopping.abort();
  }
  assert.deepEqual(seen, ["run.enqueued", "run.enqueued", "run.enqueued"]);
  assert.equal(await Array.fromAsync(broker.events({ signal: stopping.signal })).then(({ length }) => length), 0);
});
