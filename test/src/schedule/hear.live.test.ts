import assert from "node:assert/strict";
import { test } from "node:test";
import type { Redis } from "ioredis";
import { createBroker } from "../../../src/broker.ts";
import { cron } from "../../../src/define/cron.ts";
import { eventually, testNamespace, testRedis } from "../../support/servers.ts";
import { openWork } from "../../support/work.ts";
import { type AtWork, endlessBell, fastTime, schedulerAtWork } from "./at-work.ts";
import { silent } from "./rig.ts";

const MINUTE = 60_000;

/** An application with a task, and a scheduler that looks at nothing unless it is told to. */
async function application() {
  const work = await openWork();
  const report = work.broker.task({ name: "report", run() {} });
  const scheduler = await schedulerAtWork(work.another(), { makeBell: endlessBell });
  await eventually(() => scheduler.current.isKnown());
  return { work, report, scheduler, schedules: work.broker.schedules };
}

function knownBy({ deps }: AtWork, id: string) {
  return deps.schedules.find(({ name }) => name === id)?.known?.definition;
}

test("a scheduler hears of a schedule that is made, changed, paused, resumed and removed, and does not have to look", async () => {
  const { work, report, scheduler, schedules } = await application();
  await using _work = work;
  await using _scheduler = scheduler;
  await schedules.upsert("r", { task: report, cron: "0 0 1 1 *" });
  await eventually(() => knownBy(scheduler, "r"));
  await schedules.upsert("r", { task: report, cron: "0 0 1 2 *" });
  await eventually(() => knownBy(scheduler, "r")?.content.expression === "0 0 1 2 *");
  await schedules.pause("r");
  await eventually(() => knownBy(scheduler, "r")?.pausedAt !== undefined);
  await schedules.resume("r");
  await eventually(() => knownBy(scheduler, "r")?.pause !== undefined);
  await schedules.remove("r");
  await eventually(() => scheduler.deps.schedules.length === 0);
});

test("what is changed while the scheduler's ear is cut off is heard of once it is back", async () => {
  const { work, report, scheduler, schedules } = await application();
  await using _work = work;
  await using _scheduler = scheduler;
  const { ears } = scheduler.opened;
  await eventually(() => ears.status === "ready");
  ears.disconnect(true);
  await schedules.upsert("r", { task: report, cron: "0 0 1 1 *" });
  await eventually(() => knownBy(scheduler, "r"));
});

test("the same content again rings nobody", async () => {
  const work = await openWork();
  await using _work = work;
  const report = work.broker.task({ name: "report", run() {} });
  const bell = () => work.redis.xrange(`{${work.namespace}}:schedules`, "-", "+");
  await work.broker.schedules.upsert("r", { task: report, cron: "0 0 1 1 *" });
  const rung = await bell();
  assert.equal(rung.length, 1);
  await work.broker.schedules.upsert("r", { task: report, cron: "0 0 1 1 *" });
  await work.broker.schedules.resume("r");
  assert.deepEqual(await bell(), rung);
});

/** Notes every command that goes out on a connection. */
function overhear(redis: Redis, into: string[][]): void {
  const send = redis.sendCommand.bind(redis);
  redis.sendCommand = (command, ...rest) => {
    into.push([command.name, ...command.args.map(String)]);
    return send(command, ...rest);
  };
}

test("an idle scheduler sends Redis some dozen commands a minute, and else waits", async () => {
  const broker = createBroker({ redis: await testRedis(), namespace: testNamespace(), logger: silent });
  await using _broker = broker;
  cron(broker, "0 0 1 1 *", { name: "yearly", async run() {} });
  const minutes = 10;
  const start = Date.parse("2026-03-01T00:00:30Z");
  const time = fastTime(start, 400);
  const sent: string[][] = [];
  const heard: string[][] = [];
  const begun = performance.now();
  await using scheduler = await schedulerAtWork(broker, {
    ...time,
    onOpened({ redis, ears }) {
      overhear(redis, sent);
      overhear(ears, heard);
    },
  });
  await eventually(() => time.clock.now() > start + minutes * MINUTE);
  const passed = performance.now() - begun;
  assert.ok(scheduler.deps.schedules[0]?.known !== undefined);
  const byName = Object.groupBy(sent, ([name]) => name ?? "");
  const told = Object.entries(byName).map(([name, all]) => `${name} ${all?.length}`);
  assert.ok(sent.length >= minutes, `it has not looked: ${told}`);
  assert.ok(sent.length <= 18 * minutes, `in ${minutes} minutes: ${told}`);
  const reads = heard.filter(([name]) => name === "xread");
  assert.ok(reads.length <= 1 + passed / 5_000, `${reads.length} reads in ${passed} ms`);
  assert.ok(reads.every((read) => Number(read[read.indexOf("BLOCK") + 1]) >= 5_000));
});
