import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually } from "../../support/servers.ts";
import { outcomeOf } from "./rig.ts";
import { application, backdate, ofType, startScheduler } from "./run-time.ts";

const MINUTE = 60_000;

test("a paused schedule fires nothing; resumed, its misfire policy decides, and the ledger says that it was paused", async () => {
  const { work, report, lane, schedules } = await application();
  await using _work = work;
  await schedules.upsert("r", { task: report, cron: "* * * * *", input: { team: "a" }, misfire: "skip" });
  await schedules.pause("r");
  await schedules.pause("r");
  const age = 10 * MINUTE;
  await backdate(lane, "r", age, { pausedAt: Math.floor(Date.now() / MINUTE) * MINUTE - age + 1 });
  const { id } = await schedules.trigger("r");
  work.work();
  const [ending] = await work.ledger.ended([id]);
  assert.equal(ending?.type, "run.succeeded");
  await schedules.resume("r");
  await using _scheduler = await startScheduler(work);
  const missed = await eventually(
    async () => {
      const all = ofType((await outcomeOf(lane)).events, "slot.missed");
      return all.length > 0 && all;
    },
    { timeoutMs: 60_000 },
  );
  assert.deepEqual(
    missed.map(({ reason }) => reason),
    ["paused"],
  );
  assert.ok((missed[0]?.missedCount ?? 0) >= 9);
  const told = (await outcomeOf(lane)).events.map(({ type }) => type).filter((type) => type.startsWith("schedule."));
  assert.deepEqual(told, ["schedule.upserted", "schedule.paused", "schedule.resumed"]);
});

test("a year of pause is told in two ranges at most, and holds nothing else up", async () => {
  const { work, report, lane, schedules } = await application();
  await using _work = work;
  const common = { task: report, cron: "* * * * *", input: { team: "a" }, misfire: "fire_once" } as const;
  for (const id of ["asleep", "awake"]) await schedules.upsert(id, common);
  await schedules.pause("asleep");
  const year = 365 * 1_440 * MINUTE;
  await backdate(lane, "asleep", year, { pausedAt: Math.floor(Date.now() / MINUTE) * MINUTE - year });
  await backdate(lane, "awake", 3 * MINUTE);
  await schedules.resume("asleep");
  await using _scheduler = await startScheduler(work);
  const events = await eventually(async () => {
    const all = (await outcomeOf(lane)).events;
    return (
      ["asleep", "awake"].every((id) => all.some((one) => one.type === "slot.fired" && one.schedule === id)) && all
    );
  });
  const missed = ofType(events, "slot.missed").filter(({ schedule }) => schedule === "asleep");
  assert.ok(missed.every(({ reason }) => reason === "paused" || reason === "window"));
  assert.ok(missed.length <= 2 && missed.some(({ isAtLeast }) => isAtLeast === true));
  const [first, last] = [missed[0]?.slot ?? 0, missed.at(-1)?.until ?? 0];
  assert.ok(last - first > year - 120 * MINUTE, "part of it is missing");
  const woke = ofType(events, "slot.fired").filter(({ schedule }) => schedule === "asleep");
  assert.equal(woke.length, 1);
});
