import assert from "node:assert/strict";
import { test } from "node:test";
import { sql } from "slonik";
import { z } from "zod";
import { topicsLane } from "../../../sql/outbox-insert.ts";
import { topic } from "../../../src/define/topic.ts";
import { eventPublisher } from "../../../src/deps.ts";
import type { Server } from "../../../src/dev/server.ts";
import { startRedis } from "../../../src/dev/start-redis.ts";
import { provider } from "../../../src/di/provider.ts";
import { createRelay } from "../../../src/relay.ts";
import { createWorker } from "../../../src/worker.ts";
import type { LedgerEvent } from "../../../streams/events.ts";
import { laneKeys, topicKey } from "../../../streams/keys.ts";
import { OUTBOX_MARK, setMark } from "../../../streams/relay.ts";
import { readTopic } from "../../../streams/topics.ts";
import { readLedger } from "../../crash/oracle.ts";
import { eventually } from "../../support/servers.ts";
import { openStage, type Stage } from "./stage.ts";

const happened = topic("happened", z.object({ n: z.number() }));

/** Publishes an event in a transaction, without Redis. */
function publisher(stage: Stage): (n: number) => Promise<unknown> {
  const getSession = provider({ provide: (_, use) => stage.pool.transaction((session) => use(session)) });
  const publish = stage.broker.task({
    name: "publish",
    input: z.object({ n: z.number() }),
    deps: { events: eventPublisher(getSession) },
    run: ({ n }, { events }) => events.publish(happened, { n }),
  });
  return (n) => publish.call({ n });
}

/** What its topic has, in order. */
const published = async ({ ledger, namespace }: Stage): Promise<number[]> =>
  (await readTopic(ledger.redis, topicKey(namespace, "happened"), { after: "0-0", count: 100 })).map(
    ({ event }) => JSON.parse(event).data.n,
  );

const enqueued = async ({ ledger, namespace }: Stage) => {
  const runs: string[] = [];
  for await (const event of readLedger(ledger.redis, namespace, "default"))
    if (event.type === "run.enqueued") runs.push((event as LedgerEvent<"run.enqueued">).run);
  return runs;
};

const FAULTS: Readonly<Record<string, readonly [(parts: Faulty) => unknown, (parts: Faulty) => unknown]>> = {
  "Redis is away": [({ server }) => server.stop(), ({ server }) => server.restart()],
  "Redis' memory is full": [
    ({ stage }) => stage.ledger.redis.config("SET", "maxmemory", "1"),
    ({ stage }) => stage.ledger.redis.config("SET", "maxmemory", "0"),
  ],
};

interface Faulty {
  readonly server: Server;
  readonly stage: Stage;
}

for (const [fault, [begin, end]] of Object.entries(FAULTS)) {
  test(`while ${fault} commits go on, and what waits is sent once when that is over`, async () => {
    await using server = await startRedis({ durable: true });
    await using stage = await openStage({ redisUrl: server.url });
    const note = stage.broker.task({ name: "note", input: z.object({ n: z.number() }), run() {} });
    const publish = publisher(stage);
    stage.run(createRelay(stage.broker));
    await stage.pool.transaction(async (session) => note.with({ session }).kiq({ n: -1 }));
    await eventually(async () => (await enqueued(stage)).length === 1); // it is at work, and so meets the fault
    await begin({ server, stage });
    const runs = await Promise.all(
      Array.from({ length: 8 }, (_, n) =>
        stage.pool.transaction(async (session) =>
          (await note.with({ session }).kiqMany([{ n }, { n }])).map(({ id }) => id),
        ),
      ),
    );
    await publish(7);
    await end({ server, stage });
    await eventually(async () => (await enqueued(stage)).length === 17 && (await published(stage)).length === 1, {
      timeoutMs: 30_000,
    });
    assert.deepEqual(new Set((await enqueued(stage)).slice(1)), new Set(runs.flat()));
  });
}

test("what has waited for an hour by its row's clock is sent as it was meant", async () => {
  await using server = await startRedis({ durable: true });
  await using stage = await openStage({ redisUrl: server.url });
  const { pool, broker } = stage;
  const note = broker.task({ name: "note", input: z.object({ n: z.number() }), run: ({ n }) => n });
  const publish = publisher(stage);
  await server.stop();
  const dispatch = (options: object) =>
    pool.transaction(async (session) => note.with({ session, ...options }).kiq({ n: 1 }));
  const plain = await dispatch({});
  const due = await dispatch({ delay: "30m" });
  const later = await dispatch({ delay: "2h" });
  const expired = await dispatch({ expires: "30m" });
  await publish(1);
  // The hour: rows are as old as that, and the event had its batch when Redis went away.
  await pool.query(sql.unsafe`
    update tasktrail_outbox set created_at = created_at - interval '1 hour',
      batch = case when lane = ${topicsLane(stage.namespace)} then 1 end, batched_at = now() - interval '1 hour'`);
  await pool.query(sql.unsafe`
    insert into tasktrail_outbox_lanes (lane, owner, leased_until, last_batch)
    values (${topicsLane(stage.namespace)}, 'gone', now() - interval '1 hour', 1)`);
  await server.restart();
  stage.run(createRelay(broker));
  stage.run(createWorker(broker));
  assert.deepEqual(await Promise.all([plain.result(), due.result()]), [1, 1]);
  await assert.rejects(expired.result(), /expired/);
  const [scheduled] = await later.events();
  assert.ok(scheduled?.type === "run.enqueued" && scheduled.dueAt !== undefined);
  assert.ok(Math.abs(scheduled.dueAt - Date.now() - 3_600_000) < 60_000, "it is due two hours after its dispatch");
  await eventually(async () => (await published(stage)).length === 1);
  // It is kept for ten minutes from now, and not from then: Redis may yet lose it.
  const isKept = sql.unsafe`
    select batched_at > now() - interval '1 minute' from tasktrail_outbox where lane = ${topicsLane(stage.namespace)}`;
  assert.equal(await pool.oneFirst(isKept), true);
});

for (const [what, lose] of Object.entries({
  "comes back from an old dump": async (server: Server) => {
    await server.kill();
    await server.restart();
  },
  "was emptied": async (_: Server, { ledger }: Stage) => void (await ledger.redis.flushall()),
})) {
  test(`a Redis that ${what} has each dispatch and each event once again, and each event's run`, async () => {
    await using server = await startRedis();
    await using stage = await openStage({ redisUrl: server.url });
    const note = stage.broker.task({ name: "note", input: z.object({ n: z.number() }), run() {} });
    stage.broker.on(happened, note, { from: "start" });
    const publish = publisher(stage);
    stage.run(createRelay(stage.broker));
    const runs: string[] = [];
    const both = async (n: number) => {
      runs.push((await stage.pool.transaction(async (session) => note.with({ session }).kiq({ n }))).id);
      await publish(n);
    };
    const whole = (count: number) =>
      eventually(
        async () => (await published(stage)).length === count && (await enqueued(stage)).length === 2 * count,
        {
          timeoutMs: 30_000,
        },
      );
    for (let n = 0; n < 3; n += 1) await both(n);
    await whole(3);
    await stage.ledger.redis.call("SAVE");
    for (let n = 3; n < 6; n += 1) await both(n);
    await whole(6);
    await lose(server, stage);
    await both(6);
    await whole(7);
    assert.deepEqual(await published(stage), [0, 1, 2, 3, 4, 5, 6]);
    const all = await enqueued(stage);
    assert.equal(new Set(all).size, 14);
    assert.deepEqual(
      all.filter((run) => runs.includes(run)),
      runs,
    );
  });
}

test("a Postgres that has lost commits is told of, and what it has is sent", async () => {
  await using stage = await openStage();
  const note = stage.broker.task({ name: "note", input: z.object({ n: z.number() }), run() {} });
  await setMark(stage.ledger.redis, laneKeys(stage.namespace, "default"), OUTBOX_MARK, "41");
  const run = await stage.pool.transaction(async (session) => note.with({ session }).kiq({ n: 1 }));
  stage.run(createRelay(stage.broker));
  await eventually(async () => (await enqueued(stage)).length === 1);
  assert.deepEqual(await enqueued(stage), [run.id]);
  assert.ok(stage.complaints.some(({ message }) => /Postgres has lost commits/.test(message ?? "")));
});
