import assert from "node:assert/strict";
import { test } from "node:test";
import { z } from "zod";
import { startRedis } from "../../../src/dev/start-redis.ts";
import { createRelay } from "../../../src/relay.ts";
import type { LedgerEvent } from "../../../streams/events.ts";
import { laneKeys } from "../../../streams/keys.ts";
import { OUTBOX_MARK, setMark } from "../../../streams/relay.ts";
import { readLedger } from "../../crash/oracle.ts";
import { eventually } from "../../support/servers.ts";
import { openStage, type Stage } from "./stage.ts";

const enqueued = async ({ ledger, namespace }: Stage) => {
  const runs: string[] = [];
  for await (const event of readLedger(ledger.redis, namespace, "default"))
    if (event.type === "run.enqueued") runs.push((event as LedgerEvent<"run.enqueued">).run);
  return runs;
};

test("a Redis that comes back without its tail is sent again what it has lost, and nothing else", async () => {
  await using server = await startRedis();
  await using stage = await openStage({ redisUrl: server.url });
  const note = stage.broker.task({ name: "note", input: z.object({ n: z.number() }), run() {} });
  stage.run(createRelay(stage.broker));
  const dispatch = (n: number) =>
    stage.pool.transaction(async (session) => (await note.with({ session }).kiq({ n })).id);
  const runs: string[] = [];
  for (let n = 0; n < 5; n += 1) runs.push(await dispatch(n));
  await eventually(async () => (await enqueued(stage)).length === 5);
  await stage.ledger.redis.call("SAVE"); // this much will be there after the crash
  for (let n = 5; n < 10; n += 1) runs.push(await dispatch(n));
  await eventually(async () => (await enqueued(stage)).length === 10);
  await server.kill();
  await server.restart();
  for (let n = 10; n < 12; n += 1) runs.push(await dispatch(n));
  await eventually(async () => (await enqueued(stage)).length === 12, { timeoutMs: 30_000 });
  assert.deepEqual(await enqueued(stage), runs);
});

test("while Redis is away commits go on, and what waits is sent when it is back", async () => {
  await using server = await startRedis({ durable: true });
  await using stage = await openStage({ redisUrl: server.url });
  const note = stage.broker.task({ name: "note", input: z.object({ n: z.number() }), run() {} });
  stage.run(createRelay(stage.broker));
  await server.stop();
  const runs = await Promise.all(
    Array.from({ length: 8 }, (_, worker) =>
      stage.pool.transaction(async (session) =>
        (await note.with({ session }).kiqMany([{ n: worker }, { n: worker }])).map(({ id }) => id),
      ),
    ),
  );
  await server.restart();
  await eventually(async () => (await enqueued(stage)).length === 16, { timeoutMs: 30_000 });
  assert.deepEqual(new Set(await enqueued(stage)), new Set(runs.flat()));
});

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
