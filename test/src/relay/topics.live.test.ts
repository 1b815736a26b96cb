import assert from "node:assert/strict";
import { test } from "node:test";
import { sql } from "slonik";
import { z } from "zod";
import { readSubscriptionViews, redispatch, startId } from "../../../src/cli/subscriptions.ts";
import type { Broker } from "../../../src/define/broker.ts";
import { topic } from "../../../src/define/topic.ts";
import { eventPublisher, getDbSession, getEventPublisher } from "../../../src/deps.ts";
import { provider } from "../../../src/di/provider.ts";
import { createRelay } from "../../../src/relay.ts";
import { createWorker } from "../../../src/worker.ts";
import { topicKey } from "../../../streams/keys.ts";
import { setPaused } from "../../../streams/subscriptions.ts";
import { moveGroup, readTopicState, trimTopic } from "../../../streams/topics.ts";
import { eventually } from "../../support/servers.ts";
import { openStage, type Stage } from "./stage.ts";

const userCreated = topic("user.created", z.object({ id: z.string(), age: z.number().default(18) }));
const trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/** Tasks that subscribe, and one that publishes in its session. */
function application(broker: Broker) {
  const seen: { task: string; run: string; input: unknown }[] = [];
  const note = (task: string) => (input: unknown, _deps: unknown, run: { readonly id: string }) =>
    void seen.push({ task, run: run.id, input });
  const welcome = broker.task({
    name: "welcome",
    input: z.object({ id: z.string(), age: z.number() }),
    run: note("welcome"),
  });
  const count = broker.task({ name: "count", input: z.object({ key: z.string() }), run: note("count") });
  const create = broker.task({
    name: "create",
    input: z.object({ ids: z.array(z.string()), fails: z.boolean().default(false) }),
    deps: { db: getDbSession, events: getEventPublisher },
    retry: { attempts: 1 },
    async run({ ids, fails }, { db, events }) {
      await db.query(sql.unsafe`select 1`);
      for (const id of ids) events.publish(userCreated, { id }, { subject: `users/${id}` });
      if (fails) throw new Error("rolls back");
    },
  });
  broker.on(userCreated, welcome, { from: "start" });
  broker.on(
    userCreated.map(({ data, subject }) => ({ key: `${data.id} ${subject}` })),
    count.with({ labels: { via: "topic" } }),
    { group: "counting", from: "start" },
  );
  return { seen, welcome, count, create };
}

const enqueuedOf = async ({ ledger }: Stage, task: string) =>
  (await ledger.events()).filter((event) => event.type === "run.enqueued" && event.task === task);

test("an event that commits becomes one run of each subscriber, in order, and one that rolls back none", async () => {
  await using stage = await openStage();
  const { seen, create } = application(stage.broker);
  stage.run(createRelay(stage.broker));
  stage.run(createRelay(stage.another())); // knows of no subscription
  stage.run(createWorker(stage.broker, { concurrency: 1 }));
  await (await create.kiq({ ids: ["a", "b"] })).result();
  await assert.rejects((await create.kiq({ ids: ["never"], fails: true })).result());
  await (await create.kiq({ ids: ["c"] })).result();
  await eventually(() => seen.length === 6);
  const inputs = (task: string) => seen.filter((one) => one.task === task).map(({ input }) => input);
  assert.deepEqual(
    inputs("welcome"),
    ["a", "b", "c"].map((id) => ({ id, age: 18 })),
  );
  assert.deepEqual(
    inputs("count"),
    ["a", "b", "c"].map((id) => ({ key: `${id} users/${id}` })),
  );
  const [first] = await enqueuedOf(stage, "count");
  assert.ok(first?.type === "run.enqueued");
  assert.deepEqual(first.labels, { via: "topic" });
});

test("an event that is published twice is one run, and several relays make no more of it", async () => {
  await using stage = await openStage();
  application(stage.broker);
  const other = stage.another();
  application(other);
  stage.run(createRelay(stage.broker));
  stage.run(createRelay(other));
  const publish = (id: string) =>
    stage.ledger.redis.xadd(
      topicKey(stage.namespace, "user.created"),
      "*",
      "event",
      JSON.stringify({
        specversion: "1.0",
        id,
        source: "/elsewhere",
        type: "user.created",
        time: new Date().toISOString(),
        traceparent: trace,
        data: { id },
      }),
    );
  for (let n = 0; n < 300; n += 1) await publish(`e${n % 200}`);
  await eventually(async () =>
    (await readSubscriptionViews({ redis: stage.ledger.redis, namespace: stage.namespace })).every(
      ({ lag, position }) => lag === 0 && position !== "0-0",
    ),
  );
  const welcomes = await enqueuedOf(stage, "welcome");
  assert.equal(welcomes.length, 200);
  assert.equal(new Set(welcomes.map((event) => (event as { run: string }).run)).size, 200);
  assert.equal((welcomes[0] as { traceparent?: string }).traceparent, trace);
  assert.equal((await enqueuedOf(stage, "count")).length, 200);
});

test("what does not fit is refused, recorded and told of, and holds nothing up", async () => {
  await using stage = await openStage();
  application(stage.broker);
  stage.run(createRelay(stage.broker));
  const key = topicKey(stage.namespace, "user.created");
  for (const event of [
    "nonsense",
    JSON.stringify({ id: "x", data: { id: 7 } }),
    JSON.stringify({ id: "y", data: { id: "fits" } }),
  ])
    await stage.ledger.redis.xadd(key, "*", "event", event);
  await eventually(async () => (await enqueuedOf(stage, "welcome")).length === 1);
  const refused = (await stage.ledger.events()).filter(
    (event) => event.type === "event.refused" && event.group === "welcome",
  );
  assert.deepEqual(
    refused.map((event) => (event as { event: string }).event),
    ["", "x"],
  );
  assert.ok(stage.complaints.some(({ message }) => /did not fit a subscription/.test(message ?? "")));
});

test("a topic that was trimmed before a subscription had read it is told of, and what is left is read", async () => {
  await using stage = await openStage();
  const { create } = application(stage.broker);
  const { redis } = stage.ledger;
  const key = topicKey(stage.namespace, "user.created");
  stage.run(createWorker(stage.broker));
  const relay = stage.run(createRelay(stage.broker));
  await (await create.kiq({ ids: ["a"] })).result();
  await eventually(async () => (await enqueuedOf(stage, "welcome")).length === 1);
  await relay.stop();
  for (const id of ["b", "c", "d"]) await redis.xadd(key, "*", "event", JSON.stringify({ id, data: { id } }));
  await redis.xtrim(key, "MAXLEN", "=", 1);
  stage.run(createRelay(stage.broker));
  await eventually(async () => (await enqueuedOf(stage, "welcome")).length === 2);
  assert.ok(stage.complaints.some(({ message }) => /was trimmed before a subscription had read it/.test(`${message}`)));
});

test("a paused subscription waits, and one that is set back dispatches the same events as new runs", async () => {
  await using stage = await openStage();
  const { create } = application(stage.broker);
  const { redis } = stage.ledger;
  const { namespace } = stage;
  const relay = stage.run(createRelay(stage.broker));
  stage.run(createWorker(stage.broker));
  await (await create.kiq({ ids: ["a"] })).result();
  await eventually(async () => (await enqueuedOf(stage, "welcome")).length === 1);
  await relay.stop();
  await setPaused(redis, namespace, { topic: "user.created", group: "welcome", isPaused: true });
  stage.run(createRelay(stage.broker));
  await (await create.kiq({ ids: ["b", "c"] })).result();
  await eventually(async () => (await enqueuedOf(stage, "count")).length === 3);
  assert.equal((await viewOf(stage, "welcome")).lag, 2);
  await setPaused(redis, namespace, { topic: "user.created", group: "welcome", isPaused: false });
  await eventually(async () => (await viewOf(stage, "welcome")).lag === 0);
  const before = (await enqueuedOf(stage, "welcome")).length;
  const count = await redispatch({ redis, namespace }, await viewOf(stage, "welcome"), {
    after: startId("start"),
    isDry: false,
  });
  assert.equal(count, before);
  await eventually(async () => (await enqueuedOf(stage, "welcome")).length === 2 * before);
  assert.equal(
    new Set((await enqueuedOf(stage, "welcome")).map((event) => (event as { run: string }).run)).size,
    2 * before,
  );
});

const viewOf = async ({ ledger, namespace }: Stage, group: string) => {
  const found = (await readSubscriptionViews({ redis: ledger.redis, namespace })).find((view) => view.group === group);
  assert.ok(found);
  return found;
};

test("a session of one's own publishes too, and a topic is trimmed behind its slowest group", async () => {
  await using stage = await openStage();
  const client = await stage.client();
  const getClient = provider({
    async provide(_, use) {
      await client.query("begin");
      const used = await use(client);
      await client.query("commit");
      return used;
    },
  });
  const publish = stage.broker.task({
    name: "publish",
    deps: { events: eventPublisher(getClient) },
    run(_, { events }) {
      for (let n = 0; n < 5; n += 1) events.publish(userCreated, { id: `${n}` });
    },
  });
  stage.run(createRelay(stage.broker));
  await publish.call();
  const { redis } = stage.ledger;
  const key = topicKey(stage.namespace, "user.created");
  await eventually(async () => (await redis.xlen(key)) === 5);
  await redis.config("SET", "stream-node-max-entries", "100");
  for (let n = 0; n < 1_000; n += 1) await redis.xadd(key, "*", "event", "{}");
  const ids = (await redis.xrange(key, "-", "+")).map(([id]) => id);
  await redis.xgroup("CREATE", key, "slow", ids[500] as string);
  await redis.xgroup("CREATE", key, "quick", ids.at(-1) as string);
  await trimTopic(redis, key, { nowMs: Date.now() + 1_000, keepMs: 0 });
  const state = await readTopicState(redis, key);
  assert.ok(state !== undefined && state.length >= 504 && state.length <= 700, `${state?.length} are left`);
  await moveGroup(redis, key, "slow", ids.at(-1) as string);
  await trimTopic(redis, key, { nowMs: Date.now() + 1_000, keepMs: 3_600_000 });
  assert.equal((await readTopicState(redis, key))?.length, state.length);
});
