import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { cron } from "../../../src/define/cron.ts";
import { engineOf } from "../../../src/engine.ts";
import { readDefinition, writeDefinition } from "../../../src/schedule/definition.ts";
import { createScheduler } from "../../../src/scheduler.ts";
import { readSchedules } from "../../../streams/cron.ts";
import { eventually } from "../../support/servers.ts";
import { openWork } from "../../support/work.ts";

const MINUTE = 60_000;

test("slots that are caught up on one by one run one after the other, in order, and are not skipped for each other", async () => {
  await using work = await openWork();
  const ran: number[] = [];
  let [running, most] = [0, 0];
  cron(work.broker, "* * * * *", {
    name: "sync",
    misfire: "fire_all",
    catchUp: "1h",
    async run(slot) {
      most = Math.max(most, ++running);
      await delay(50);
      running -= 1;
      ran.push(slot.at.getTime());
    },
  });
  const lane = await engineOf(work.broker).lane("default");
  await using first = createScheduler(work.broker);
  first.run();
  const definition = await eventually(async () => readDefinition((await readSchedules(lane, ["sync"]))[0]?.definition));
  await first.stop();
  const backThen = { ...definition, changedAt: Math.floor(Date.now() / MINUTE) * MINUTE - 3 * MINUTE };
  await lane.redis.hset(lane.keys.cron, "definition:sync", writeDefinition(backThen));

  await using second = createScheduler(work.broker);
  second.run();
  work.work();
  await eventually(() => ran.length >= 3, { timeoutMs: 20_000 });
  assert.equal(most, 1);
  assert.deepEqual(
    ran,
    [...new Set(ran)].sort((a, b) => a - b),
  );
});
