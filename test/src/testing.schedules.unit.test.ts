import assert from "node:assert/strict";
import { test } from "node:test";
import { z } from "zod";
import { createBroker } from "../../src/broker.ts";
import { cron } from "../../src/define/cron.ts";
import { testBroker } from "../../src/testing.ts";

const now = new Date("2026-03-01T00:00:00Z");

test("schedules made at run time are played with their input, paused, filled and let go of", async () => {
  const broker = createBroker();
  const ran: string[] = [];
  const report = broker.task({
    name: "report",
    input: z.object({ team: z.string() }),
    run({ team }, _deps, { slot }) {
      ran.push(`${team} ${slot?.at.toISOString().slice(11, 16)} ${slot?.trigger}`);
    },
  });
  using t = testBroker(broker, { now });
  await broker.schedules.upsert("a", { task: report, cron: "*/30 * * * *", input: { team: "a" } });
  await t.advance("1h");
  assert.deepEqual(ran.splice(0), ["a 00:30 schedule", "a 01:00 schedule"]);
  await broker.schedules.pause("a");
  await t.advance("1h");
  assert.deepEqual(ran, []);
  assert.deepEqual(
    (await broker.schedules.list()).map(({ id, isPaused, next }) => [id, isPaused, next.length]),
    [["a", true, 0]],
  );
  await broker.schedules.resume("a");
  await broker.schedules.backfill("a", { from: now, until: new Date("2026-03-01T02:00:00Z") });
  await broker.schedules.trigger("a");
  await t.drain();
  assert.deepEqual(ran.splice(0), ["a 00:00 backfill", "a 01:30 backfill", "a 02:00 backfill", "a 02:00 manual"]);
  await broker.schedules.remove("a");
  await t.advance("1h");
  assert.deepEqual(ran, []);
  await assert.rejects(broker.schedules.pause("a"), { code: "schedule_unknown" });
  const told = t.events.map(({ type }) => type).filter((type) => type.startsWith("schedule."));
  assert.deepEqual(told, ["schedule.upserted", "schedule.paused", "schedule.resumed", "schedule.removed"]);
});

test("what a cron() declares is listed and paused, and neither replaced nor removed", async () => {
  const broker = createBroker();
  let count = 0;
  cron(broker, "0 * * * *", {
    name: "hourly",
    run() {
      count += 1;
    },
  });
  const plain = broker.task({ name: "plain", run() {} });
  using t = testBroker(broker, { now });
  await broker.schedules.pause("hourly");
  await t.advance("2h");
  assert.equal(count, 0);
  await broker.schedules.resume("hourly");
  await t.advance("2h");
  assert.equal(count, 2);
  const replacing = broker.schedules.upsert("hourly", { task: plain, cron: "0 * * * *" });
  await assert.rejects(replacing, { code: "invalid_option" });
  await assert.rejects(broker.schedules.remove("hourly"), { code: "invalid_option" });
  const bad = { task: plain, cron: "61 * * * *" } as never;
  await assert.rejects(broker.schedules.upsert("x", bad), { code: "invalid_option" });
});
