import assert from "node:assert/strict";
import { test } from "node:test";
import { z } from "zod";
import { createBroker } from "../../../src/broker.ts";
import { testNamespace, testRedis } from "../../support/servers.ts";
import { silent } from "../schedule/rig.ts";
import { documents, tasktrail } from "./tasktrail.ts";

test("a schedule is paused, resumed, triggered, filled and removed from the command line, which shows how it stands", async () => {
  const REDIS_URL = await testRedis();
  const TASKTRAIL_NAMESPACE = testNamespace();
  await using broker = createBroker({ redis: REDIS_URL, namespace: TASKTRAIL_NAMESPACE, logger: silent });
  const report = broker.task({ name: "report", input: z.object({ team: z.string() }), run() {} });
  const definition = { task: report, cron: "0 9 * * 1", timezone: "Europe/Berlin", input: { team: "a" } } as const;
  await broker.schedules.upsert("weekly:7", definition);
  const run = (...args: string[]) => tasktrail(["crons", ...args], { env: { REDIS_URL, TASKTRAIL_NAMESPACE } });

  const shown = await run();
  assert.match(shown.out, /weekly:7 +task report +0 9 \* \* 1 +Europe\/Berlin +At 09:00, only on Monday/);
  assert.match(shown.out, /next +\d{4}-\d\d-\d\dT09:00:00\+0[12]:00/);
  assert.equal((await run("pause", "weekly:7")).out.trim(), "paused weekly:7");
  assert.equal((await broker.schedules.list())[0]?.isPaused, true);
  const filled = await run("backfill", "weekly:7", "--from", "2026-03-01", "--until", "2026-03-31", "--json");
  assert.equal(documents(filled).length, 5);
  const again = await run("backfill", "weekly:7", "--from", "2026-03-01", "--until", "2026-03-31");
  assert.deepEqual([again.code, again.out], [0, ""]);
  assert.match(again.err, /has fired/);
  const [triggered] = documents(await run("trigger", "weekly:7", "--json"));
  assert.equal(triggered.isNew, true);
  const resumed = await run("resume", "weekly:7", "--json");
  assert.deepEqual(documents(resumed), [{ schedule: "weekly:7", done: "resumed" }], resumed.err);
  const unknown = await run("pause", "weekly:8");
  assert.equal(unknown.code, 1);
  assert.match(unknown.err, /no schedule "weekly:8".*did you mean "weekly:7"/is);
  await run("remove", "weekly:7");
  assert.deepEqual(await broker.schedules.list(), []);
});
