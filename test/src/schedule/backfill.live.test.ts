import assert from "node:assert/strict";
import { test } from "node:test";
import { createBroker } from "../../../src/broker.ts";
import { cronRunId } from "../../../streams/ids.ts";
import { testNamespace, testRedis } from "../../support/servers.ts";
import { openWork } from "../../support/work.ts";
import { outcomeOf, silent, type TestScheduler, testScheduler } from "./rig.ts";

const MINUTE = 60_000;
// Instants in the past: a slot that is yet to come is refused by Redis' own clock.
const start = Date.parse("2026-03-01T00:00:00Z");

async function scheduled(expression: string, policies: object = {}) {
  const namespace = testNamespace();
  const crons = [{ expression, ...policies }];
  const one = await testScheduler({ namespace, crons, startMs: start });
  await one.refresh();
  const brokers = [1, 2, 3].map(async () =>
    createBroker({ redis: await testRedis(), namespace, logger: silent, enqueueTimeout: "60s" }),
  );
  const all = await Promise.all(brokers);
  return {
    one,
    namespace,
    brokers: all,
    broker: all[0] as (typeof all)[number],
    async [Symbol.asyncDispose]() {
      for (const broker of all) await broker.close();
      await one[Symbol.asyncDispose]();
    },
  };
}

const range = (from: number, until: number) => ({
  from: new Date(start + from * MINUTE),
  until: new Date(start + until * MINUTE),
});

/** The minutes of the slots that a backfill has fired, in the order of their entries. */
async function filledBy(one: TestScheduler): Promise<number[]> {
  const { entries } = await outcomeOf(one.schedule().lane);
  const slots = entries.map(({ meta }) => JSON.parse(meta as string).cron);
  return slots.filter(({ trigger }) => trigger === "backfill").map(({ at }) => (at - start) / MINUTE);
}

test("a backfill fires what was missed in a range, oldest first, and what has fired it leaves alone", async () => {
  await using app = await scheduled("*/10 * * * *", { misfire: "skip" });
  const { one, broker } = app;
  for (const minute of [10, 20, 55, 60, 70, 105, 110]) await one.fireAt(start + minute * MINUTE);
  const runs = await broker.schedules.backfill("sync", range(0, 500));
  assert.deepEqual(await filledBy(one), [0, 30, 40, 50, 80, 90, 100]);
  const ids = new Set(runs.map(({ id }) => id));
  assert.equal(ids.size, 7);
  assert.ok(ids.has(slotId(app.namespace, 30)), "a slot of its own has its own id");
  assert.ok(!ids.has(slotId(app.namespace, 0)), "one from before it was made might have had that id already");
  const { entries, events } = await outcomeOf(one.schedule().lane);
  const filled = entries.filter(({ run }) => ids.has(run as string));
  assert.deepEqual(
    filled.map(({ meta }) => (JSON.parse(meta as string).cron.previous - start) / MINUTE),
    [Number.NaN, 20, 30, 40, 70, 80, 90],
  );
  const fired = events.filter((event) => event.type === "slot.fired" && ids.has(event.run));
  assert.ok(fired.length === 7 && fired.every((event) => event.type === "slot.fired" && event.trigger === "backfill"));
});

function slotId(namespace: string, minute: number): string {
  return cronRunId({ namespace, queue: "default", schedule: "sync", slotMs: start + minute * MINUTE, rerun: 0 });
}

test("however often and from however many processes a range is filled, each slot fires once", async () => {
  await using app = await scheduled("* * * * *", { misfire: "skip" });
  const { one, brokers } = app;
  await one.fireAt(start + MINUTE);
  await one.fireAt(start + 1_500 * MINUTE);
  const filled = await Promise.all(brokers.map((broker) => broker.schedules.backfill("sync", range(100, 1_299))));
  assert.equal(filled.flat().length, 1_200);
  // Their order is that of one process.
  assert.deepEqual(
    (await filledBy(one)).sort((x, y) => x - y),
    Array.from({ length: 1_200 }, (_, index) => index + 100),
  );
  for (const broker of brokers) assert.deepEqual(await broker.schedules.backfill("sync", range(100, 1_299)), []);
  await one.fireAt(start + 1_501 * MINUTE);
  assert.equal((await app.broker.schedules.backfill("sync", range(1_290, 1_501))).length, 200);
});

test("a slot of a changed expression is filled though the old one had fired around it", async () => {
  await using app = await scheduled("0 * * * *");
  const { one, namespace, broker } = app;
  await one.fireAt(start + 60 * MINUTE);
  await one.fireAt(start + 120 * MINUTE);
  await using next = await testScheduler({
    namespace,
    crons: [{ expression: "*/30 * * * *" }],
    startMs: start + 121 * MINUTE,
  });
  await next.refresh();
  await broker.schedules.backfill("sync", range(60, 120));
  assert.deepEqual(await filledBy(one), [90]);
});

test("what a schedule has yet to decide on is left to it, and told while it is paused", async () => {
  await using app = await scheduled("*/10 * * * *");
  const { one, broker } = app;
  await one.fireAt(start + 10 * MINUTE);
  assert.deepEqual(await broker.schedules.backfill("sync", range(10, 60)), []);
  await broker.schedules.pause("sync");
  const filling = broker.schedules.backfill("sync", range(10, 60));
  await assert.rejects(filling, { code: "invalid_option", message: /paused/ });
  await assert.rejects(broker.schedules.backfill("sync", { from: new Date(0), until: new Date(start) }), {
    code: "invalid_option",
    message: /10000 at most/,
  });
});

test("what is filled runs one after the other, in order, though the overlap policy is to skip", async () => {
  await using work = await openWork();
  const ran: number[] = [];
  let running = 0;
  const task = work.broker.task({
    name: "sync",
    async run(_input, _deps, { slot }) {
      assert.equal(++running, 1);
      await new Promise((resolve) => setTimeout(resolve, 5));
      running -= 1;
      ran.push(slot?.at.getTime() as number);
    },
  });
  await work.broker.schedules.upsert("s", { task, cron: "* * * * *" });
  const runs = await work.broker.schedules.backfill("s", range(0, 19));
  assert.equal(runs.length, 20);
  work.work();
  await work.ledger.ended(
    runs.map(({ id }) => id),
    60_000,
  );
  assert.deepEqual(
    ran.map((at) => (at - start) / MINUTE),
    Array.from({ length: 20 }, (_, index) => index),
  );
  const types = (await work.ledger.events()).map(({ type }) => type);
  assert.ok(!types.includes("run.deferred"), "one had to ask twice");
});
