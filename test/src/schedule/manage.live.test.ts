import assert from "node:assert/strict";
import { test } from "node:test";
import { z } from "zod";
import { contract } from "../../../src/define/contract.ts";
import { cron } from "../../../src/define/cron.ts";
import { engineOf } from "../../../src/engine.ts";
import { createScheduler } from "../../../src/scheduler.ts";
import { readSchedules } from "../../../streams/cron.ts";
import { eventually } from "../../support/servers.ts";
import { outcomeOf, testScheduler } from "./rig.ts";
import { application, backdate, definitionOf, ofType, startScheduler } from "./run-time.ts";

const MINUTE = 60_000;

test("a schedule is kept with its input as it travels, recorded once, and listed with its next slots", async () => {
  const { work, report, lane, schedules } = await application();
  await using _work = work;
  const weekly = { task: report, cron: "0 9 * * 1", input: { team: "a" }, timezone: "Europe/Berlin" } as const;
  await schedules.upsert("weekly:7", weekly);
  const before = await lane.redis.hgetall(lane.keys.cron);
  await schedules.upsert("weekly:7", weekly);
  assert.deepEqual(await lane.redis.hgetall(lane.keys.cron), before, "the same again has changed something");
  await schedules.upsert("weekly:8", { ...weekly, input: { team: "b", size: 2 } });

  const states = await schedules.list();
  assert.deepEqual(
    states.map(({ next, ...rest }) => ({ ...rest, next: next.length })),
    ["weekly:7", "weekly:8"].map((id) => ({
      id,
      task: "report",
      cron: "0 9 * * 1",
      timezone: "Europe/Berlin",
      isPaused: false,
      lastSlot: undefined,
      next: 3,
      lockHolder: undefined,
    })),
  );
  assert.equal((await definitionOf(lane, "weekly:7")).content.input, '{"team":"a","size":7}');
  const upserts = ofType((await outcomeOf(lane)).events, "schedule.upserted");
  assert.deepEqual(
    upserts.map(({ schedule, task, source }) => [schedule, task, source]),
    [
      ["weekly:7", "report", "run_time"],
      ["weekly:8", "report", "run_time"],
    ],
  );
});

test("a scheduler that knows no task fires what was made at run time, with its input, and a worker runs it", async () => {
  const { work, ran, report, lane, schedules } = await application();
  await using _work = work;
  await schedules.upsert("r:1", { task: report, cron: "* * * * *", input: { team: "a" }, misfire: "fire_once" });
  await backdate(lane, "r:1", 3 * MINUTE);
  await using _scheduler = await startScheduler(work);
  work.work();
  await eventually(() => ran.length > 0);
  assert.equal(ran[0]?.team, "a");
  const { fired, events } = await outcomeOf(lane);
  const [enqueued] = ofType(events, "run.enqueued");
  assert.deepEqual([enqueued?.schedule, enqueued?.task, enqueued?.slot], ["r:1", "report", fired[0]]);
  assert.deepEqual(enqueued?.input, { team: "a", size: 7 });
});

test("a schedule that is made while schedulers run is taken up, changed and let go of without a restart", async () => {
  const { work, report, lane, schedules } = await application();
  await using _work = work;
  await using one = await testScheduler({ namespace: work.namespace, crons: [], startMs: Date.now() });
  await one.refresh();
  const daily = { task: report, cron: "0 0 * * *", input: { team: "a" } } as const;
  await schedules.upsert("late", daily);
  await one.refresh();
  assert.equal(one.schedule("late").known?.definition.content.expression, "0 0 * * *");
  await schedules.upsert("late", { ...daily, cron: "* * * * *" });
  await one.refresh();
  await backdate(lane, "late", MINUTE);
  await one.refresh();
  await one.fireAt(Date.now());
  assert.ok((await outcomeOf(lane)).fired.length > 0);
  await schedules.remove("late");
  await one.fireAt(Date.now());
  await one.refresh();
  assert.deepEqual(one.deps.schedules, []);
});

test("an input that no longer fits its task is told of, and its runs die of it one by one", async () => {
  const { work, schedules } = await application();
  await using _work = work;
  const old = work.broker.bind({ mail: contract({ name: "mail", input: z.object({ to: z.string() }) }) }).mail;
  await schedules.upsert("m", { task: old, cron: "0 0 1 1 *", input: { to: "a" } });
  const newer = work.another();
  newer.task({ name: "mail", version: 2, input: z.object({ to: z.array(z.string()) }), run() {} });
  const scheduler = createScheduler(newer);
  await using _scheduler = scheduler;
  scheduler.run();
  await eventually(() => work.complaints.some((one) => JSON.stringify(one).includes("no longer fits its task")));
  work.work({}, newer);
  const { id } = await schedules.trigger("m");
  const [ending] = await work.ledger.ended([id]);
  assert.ok(ending?.type === "run.died" && ending.reason === "invalid_input");
});

test("what cannot be is refused before anything is written", async () => {
  const { work, report, lane, schedules } = await application();
  await using _work = work;
  const nightly = cron(work.broker, "0 3 * * *", { name: "nightly", async run() {} });
  const wrong = { task: report, cron: "0 9 * * 1", input: { team: 5 } } as never;
  await assert.rejects(schedules.upsert("x", wrong), { code: "invalid_input" });
  await assert.rejects(schedules.upsert("x y", wrong), { code: "invalid_option", message: /white space/ });
  const noTask = { task: nightly, cron: "0 9 * * 1" } as never;
  await assert.rejects(schedules.upsert("x", noTask), { code: "invalid_option", message: /is no task/ });
  const misspelt = { task: report, cron: "0 9 * * 1", input: { team: "a" }, timezon: "UTC" } as never;
  await assert.rejects(schedules.upsert("x", misspelt), { message: /did you mean.*timezone/i });
  for (const ask of ["pause", "resume", "remove", "trigger"] as const) {
    await assert.rejects(schedules[ask]("nobody"), { code: "schedule_unknown" });
  }
  const yesterday = new Date(Date.now() - 86_400_000);
  await assert.rejects(schedules.backfill("nobody", { from: new Date(), until: yesterday }), {
    code: "invalid_option",
  });
  assert.equal(await lane.redis.exists(lane.keys.cron), 0);
});

test("what the code of schedulers declares can be paused and triggered, and neither replaced nor removed", async () => {
  const { work, report, lane, schedules } = await application();
  await using _work = work;
  const nightly = cron(work.broker, "0 3 * * *", { name: "nightly", async run() {} });
  const scheduler = createScheduler(work.broker);
  await using _scheduler = scheduler;
  scheduler.run();
  await eventually(async () => (await schedules.list()).length === 1);
  const other = { task: report, cron: "0 9 * * 1", input: { team: "a" } } as const;
  await assert.rejects(schedules.upsert("nightly", other), { code: "invalid_option", message: /in the code/ });
  await assert.rejects(schedules.remove("nightly"), { code: "invalid_option", message: /in the code/ });
  await schedules.pause("nightly");
  assert.deepEqual(
    (await schedules.list()).map(({ isPaused, next }) => [isPaused, next.length]),
    [[true, 0]],
  );
  work.work();
  const triggered = [await schedules.trigger("nightly"), await nightly.trigger()];
  const endings = await work.ledger.ended(triggered.map(({ id }) => id));
  assert.ok(endings.some(({ type }) => type === "run.succeeded"));
  await scheduler.stop();
  await lane.redis.hset(lane.keys.cron, "seen:nightly", 1); // a minute later
  await schedules.remove("nightly");
  assert.deepEqual(await schedules.list(), []);
});

test("the overlap policy of a schedule goes with its runs: the task itself has none", async () => {
  const { work, schedules } = await application();
  await using _work = work;
  const gate = Promise.withResolvers<void>();
  const slow = work.broker.task({ name: "slow", run: () => gate.promise });
  await schedules.upsert("one", { task: slow, cron: "0 0 1 1 *", lockTtl: "1m" });
  await schedules.upsert("free", { task: slow, cron: "0 0 1 1 *", overlap: "allow" });
  work.work();
  const first = await schedules.trigger("one");
  await work.ledger.waitFor((events) => events.some((event) => event.type === "run.started"));
  assert.equal((await schedules.list()).find(({ id }) => id === "one")?.lockHolder, first.id);
  const second = await schedules.trigger("one");
  const [skipped] = await work.ledger.ended([second.id]);
  assert.ok(skipped?.type === "run.skipped" && skipped.holder === first.id && skipped.schedule === "one");
  const others = [await schedules.trigger("free"), await schedules.trigger("free"), await slow.kiq()];
  gate.resolve();
  const endings = await work.ledger.ended([first.id, ...others.map(({ id }) => id)]);
  assert.ok(endings.every(({ type }) => type === "run.succeeded"));
});

test("a schedule moves with its task to another queue, from its last slot on", async () => {
  const { work, lane } = await application();
  await using _work = work;
  const { schedules } = work.broker;
  const old = work.broker.bind({ move: contract({ name: "move", queue: "default" }) }).move;
  const next = work.another();
  const moved = next.bind({ move: contract({ name: "move", queue: "elsewhere" }) }).move;
  await schedules.upsert("m", { task: old, cron: "0 0 1 1 *" });
  const slot = Math.floor(Date.now() / MINUTE) * MINUTE;
  await lane.redis.hset(lane.keys.cron, { "last:m": slot, "fired:m": slot, "count:m": 3, "since:m": slot - MINUTE });
  await next.schedules.upsert("m", { task: moved, cron: "0 0 1 1 *" });
  assert.deepEqual(await lane.redis.hkeys(lane.keys.cron), ["revision"]);
  const [kept] = await readSchedules(await engineOf(next).lane("elsewhere"), ["m"]);
  assert.deepEqual([kept?.last, kept?.fired, kept?.firedCount, kept?.since], [slot, slot, 3, slot - MINUTE]);
  assert.equal((await next.schedules.list()).length, 1);
});

test("many processes that make the same schedule at once make it once", async () => {
  const { work, report, lane } = await application();
  await using _work = work;
  const all = Array.from({ length: 5 }, () => work.another());
  const same = { task: report, cron: "*/5 * * * *", input: { team: "a" } } as const;
  await Promise.all(all.map((one) => one.schedules.upsert("r", same)));
  assert.equal(ofType((await outcomeOf(lane)).events, "schedule.upserted").length, 1);
  await Promise.all(all.map((one, index) => one.schedules.upsert("r", { ...same, input: { team: String(index) } })));
  assert.equal(ofType((await outcomeOf(lane)).events, "schedule.upserted").length, 6);
});
