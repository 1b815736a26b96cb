import { createBroker, createWorker } from "tasktrail";
import { z } from "zod";

const broker = createBroker();

// #region schedules
const report = broker.task({
  name: "report",
  input: z.object({ team: z.string() }),
  run: ({ team }, _deps, { slot }) => `${team} up to ${slot?.at.toISOString()}`,
});

await broker.schedules.upsert("weekly:7", {
  task: report,
  cron: "0 9 * * 1",
  timezone: "Europe/Berlin",
  input: { team: "a" },
  misfire: "fire_all",
});
await broker.schedules.pause("weekly:7");
await broker.schedules.resume("weekly:7");

const range = { from: new Date("2026-03-01"), until: new Date("2026-03-15") };
const runs = await broker.schedules.backfill("weekly:7", range);
// #endregion

const again = await broker.schedules.backfill("weekly:7", range);
console.log(runs.length, again.length); // 2 0

await using worker = createWorker(broker);
const working = worker.run();
console.log(await runs[0]?.result()); // a up to 2026-03-02T08:00:00.000Z
console.log(await runs[1]?.result()); // a up to 2026-03-09T08:00:00.000Z
const [state] = await broker.schedules.list();
console.log(state?.cron, state?.isPaused, state?.next.length); // 0 9 * * 1 false 3
await broker.schedules.remove("weekly:7");
await worker.stop();
await working;
