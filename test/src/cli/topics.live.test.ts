import assert from "node:assert/strict";
import { test } from "node:test";
import { sql } from "slonik";
import { z } from "zod";
import { topic } from "../../../src/define/topic.ts";
import { createRelay } from "../../../src/relay.ts";
import { topicKey } from "../../../streams/keys.ts";
import { eventually } from "../../support/servers.ts";
import { openStage, type Stage } from "../relay/stage.ts";
import { tasktrail } from "./tasktrail.ts";

const signedUp = topic("signed.up", z.object({ id: z.string() }));

function subscribe({ broker }: Stage) {
  const welcome = broker.task({ name: "welcome", input: z.object({ id: z.string() }), run() {} });
  broker.on(signedUp, welcome, { from: "start" });
}

const publish = ({ ledger, namespace }: Stage, id: string) =>
  ledger.redis.xadd(topicKey(namespace, "signed.up"), "*", "event", JSON.stringify({ id, data: { id } }));
const envOf = ({ redisUrl, database, namespace }: Stage) => ({
  REDIS_URL: redisUrl,
  DATABASE_URL: database,
  TASKTRAIL_NAMESPACE: namespace,
});
const welcomed = async ({ ledger }: Stage) =>
  (await ledger.events()).filter((event) => event.type === "run.enqueued" && event.task === "welcome").length;

test("tasktrail topics lists subscriptions, pauses and resumes them, and dispatches again once it is confirmed", async () => {
  await using stage = await openStage();
  const env = envOf(stage);
  const none = await tasktrail(["topics"], { env });
  assert.match(none.err, /Nothing subscribes to a topic/);
  subscribe(stage);
  const relay = stage.run(createRelay(stage.broker));
  await publish(stage, "a");
  await publish(stage, "b");
  await eventually(async () => (await welcomed(stage)) === 2);
  const listed = await tasktrail(["topics", "--json"], { env });
  const [view] = listed.out
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  assert.deepEqual(
    [view.topic, view.group, view.task, view.queue, view.length, view.lag, view.isPaused],
    ["signed.up", "welcome", "welcome", "default", 2, 0, false],
  );
  const paused = await tasktrail(["topics", "pause", "signed.up", "welcome"], { env });
  assert.equal(paused.code, 0, paused.err);
  assert.match((await tasktrail(["topics"], { env })).out, /paused/);
  assert.equal((await tasktrail(["topics", "resume", "signed.up", "welcome", "--json"], { env })).code, 0);
  const again = ["topics", "redispatch", "signed.up", "welcome", "--from", "start"];
  const asked = await tasktrail(again, { env });
  assert.equal(asked.code, 2);
  assert.match(
    asked.err,
    /2 events of signed\.up as new runs of welcome would be dispatched, and their handlers run again/,
  );
  assert.equal((await tasktrail([...again, "--yes"], { env })).code, 0);
  await eventually(async () => (await welcomed(stage)) === 4);
  const unknown = await tasktrail(["topics", "pause", "signed.up", "nobody"], { env });
  assert.match(unknown.err, /does not subscribe[\s\S]*signed\.up welcome/);
  await relay.stop();
});

test("the doctor tells of an outbox that nobody relays, of parked rows, and of a subscription that is behind", async () => {
  await using stage = await openStage();
  const env = envOf(stage);
  subscribe(stage);
  const relay = stage.run(createRelay(stage.broker));
  await publish(stage, "a");
  await eventually(async () => (await welcomed(stage)) === 1);
  await relay.stop();
  await stage.ledger.redis.xadd(topicKey(stage.namespace, "signed.up"), `${Date.now()}-7`, "event", "{}");
  const well = await tasktrail(["doctor"], { env });
  assert.match(well.out + well.err, /the outbox flows/);
  await stage.pool.query(sql.unsafe`
    insert into tasktrail_outbox (lane, item, record, created_at)
    values (${`${stage.namespace}:default`}, 'x', '{}', now() - interval '1 hour')`);
  await stage.pool.query(sql.unsafe`
    insert into tasktrail_outbox (lane, item, record, parked_at) values (${`${stage.namespace}:default`}, 'y', '{}', now())`);
  const told = await tasktrail(["doctor"], { env });
  const said = told.out + told.err;
  assert.match(said, /the outbox is stuck: 1 row to be sent, the oldest written 60m ago/);
  assert.match(said, /No relay is at work/);
  assert.match(said, /1 row of the outbox parked/);
  assert.match(said, /topic signed\.up, group welcome: 1 event behind/);
});
