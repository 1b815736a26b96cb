import assert from "node:assert/strict";
import { test } from "node:test";
import { createBroker } from "../../src/broker.ts";
import { cron } from "../../src/define/cron.ts";
import { startRedis } from "../../src/dev/start-redis.ts";
import { engineOf } from "../../src/engine.ts";
import { type Notice, processMiddleware } from "../../src/middleware.ts";
import { readDefinition, writeDefinition } from "../../src/schedule/definition.ts";
import { createScheduler } from "../../src/scheduler.ts";
import { readSchedules } from "../../streams/cron.ts";
import { eventually, testNamespace, testRedis } from "../support/servers.ts";
import { outcomeOf, silent } from "./schedule/rig.ts";

const HOUR = 3_600_000;

async function application({
  expression,
  namespace,
  redis,
}: {
  expression: string;
  namespace?: string;
  redis?: string;
}) {
  const broker = createBroker({
    redis: redis ?? (await testRedis()),
    namespace: namespace ?? testNamespace(),
    logger: silent,
  });
  cron(broker, expression as string, { name: "sync", async run() {} });
  const engine = engineOf(broker);
  const notices: Notice[] = [];
  processMiddleware().splice(0, 1, { name: "test", notice: (notice) => notices.push(notice) });
  const heard = (kind: Notice["kind"]) => eventually(() => notices.find((one) => one.kind === kind));
  return { broker, engine, notices, heard, lane: await engine.lane("default") };
}

test("a scheduler says when it is ready, is healthy, and stops when it is told to", async () => {
  const { broker, heard, notices } = await application({ expression: "0 0 1 1 *" });
  const scheduler = createScheduler(broker);
  assert.deepEqual(scheduler.health(), { isLive: false, isReady: false, lastReadAgeMs: 0 });
  const running = scheduler.run();
  await heard("role.ready");
  assert.deepEqual({ ...scheduler.health(), lastReadAgeMs: 0 }, { isLive: true, isReady: true, lastReadAgeMs: 0 });
  await scheduler.stop();
  await running;
  assert.equal(scheduler.health().isLive, false);
  assert.deepEqual(
    notices.flatMap((one) => ("role" in one ? [`${one.kind} ${one.role}`] : [])),
    ["role.ready scheduler", "role.stopped scheduler"],
  );
  await broker.close();
});

/** Declares the application's cron as if an hour ago, so that a scheduler has something to fire at once. */
async function declareAnHourAgo({ broker, heard, lane }: Awaited<ReturnType<typeof application>>): Promise<void> {
  const first = createScheduler(broker);
  const running = first.run();
  await heard("role.ready");
  await first.stop();
  await running;
  const [kept] = await readSchedules(lane, ["sync"]);
  const definition = readDefinition(kept?.definition);
  assert.ok(definition !== undefined);
  const backThen = writeDefinition({ ...definition, changedAt: Date.now() - HOUR });
  await lane.redis.hset(lane.keys.cron, "definition:sync", backThen);
}

test("a scheduler that starts after an hour's pause catches up at once", async () => {
  const app = await application({ expression: "*/5 * * * *" });
  await declareAnHourAgo(app);
  await using scheduler = createScheduler(app.broker);
  scheduler.run();
  await app.heard("slot.fired");
  const { events } = await outcomeOf(app.lane);
  const [missed] = events.flatMap((one) => (one.type === "slot.missed" ? [one] : []));
  assert.ok(missed !== undefined && missed.missedCount >= 10 && missed.missedCount <= 11, JSON.stringify(missed));
  await app.broker.close();
});

for (const { down, of } of [
  { down: 1, of: 3 },
  { down: 3, of: 3 },
]) {
  test(`with ${down} of ${of} lock servers gone, slots fire all the same`, async (t) => {
    const servers = await Promise.all(Array.from({ length: of }, () => startRedis({ report() {} })));
    for (const server of servers.slice(0, down)) await server.kill();
    const app = await application({ expression: "*/5 * * * *" });
    await declareAnHourAgo(app);
    await using scheduler = createScheduler(app.broker, { locks: servers.map(({ url }) => url) });
    const startedAt = performance.now();
    scheduler.run();
    await app.heard("slot.fired");
    t.diagnostic(`took ${Math.round(performance.now() - startedAt)} ms`);
    assert.equal((await outcomeOf(app.lane)).fired.length, 1);
    await scheduler.stop();
    await app.broker.close();
    for (const server of servers) await server[Symbol.asyncDispose]();
  });
}

test("a scheduler waits for Redis when it starts, and goes on when it comes back", async () => {
  await using redis = await startRedis({ report() {} });
  await redis.stop();
  const { broker, heard, notices, lane } = await application({ expression: "* * * * *", redis: redis.url });
  await using scheduler = createScheduler(broker);
  const running = scheduler.run();
  await heard("redis.away");
  assert.equal(scheduler.health().isReady, false);
  await redis.restart();
  await heard("role.ready");
  // Everything is gone, as after a failover to an empty server: it is declared again.
  await redis.restart();
  await eventually(async () => (await readSchedules(lane, ["sync"]))[0]?.definition, { timeoutMs: 30_000 });
  await scheduler.stop();
  await running;
  assert.deepEqual(
    notices.filter(({ kind }) => kind === "problem"),
    [],
  );
  await broker.close();
});

test("a scheduler without a cron runs, and stops", async () => {
  const broker = createBroker({ redis: await testRedis(), namespace: testNamespace(), logger: silent });
  await using scheduler = createScheduler(broker);
  const running = scheduler.run();
  await eventually(() => scheduler.health().isReady);
  await scheduler.stop();
  await running;
  await broker.close();
});

test("two crons of one name are refused when the scheduler is made, with both places", async () => {
  const broker = createBroker({ redis: "redis://127.0.0.1:1", logger: silent });
  for (const expression of ["* * * * *", "0 * * * *"])
    cron(broker, expression as string, { name: "a", async run() {} });
  assert.throws(() => createScheduler(broker), { code: "duplicate_task" });
});

test("an even number of lock servers is refused", async () => {
  const broker = createBroker({ redis: "redis://127.0.0.1:1", logger: silent });
  const locks = ["redis://127.0.0.1:1", "redis://127.0.0.1:2"];
  assert.throws(() => createScheduler(broker, { locks }), { code: "invalid_option" });
});
