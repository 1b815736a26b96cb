import assert from "node:assert/strict";
import { test } from "node:test";
import { sql } from "slonik";
import { engineOf } from "../../../src/engine.ts";
import { readDefinition, writeDefinition } from "../../../src/schedule/definition.ts";
import { readSchedules } from "../../../streams/cron.ts";
import { aPool, startProjector } from "../../projections/lane-fixture.ts";
import { eventually, testDatabase } from "../../support/servers.ts";
import { openWork } from "../../support/work.ts";
import { testScheduler } from "../schedule/rig.ts";
import { tasktrail } from "./tasktrail.ts";

const MINUTE = 60_000;

test("crons tells how each schedule stands, its history has what was skipped and missed, and the doctor sees a lock that is too short", async (t) => {
  await using work = await openWork();
  const { broker, url, namespace, redis, keys } = work;
  const database = await testDatabase();
  const pool = await aPool(t, database);
  const task = broker.task({ name: "report", run() {} });
  await broker.schedules.upsert("s", { task, cron: "*/10 * * * *", lockTtl: "30s", misfire: "skip" });

  // Missed: an hour without a scheduler.
  const [kept] = await readSchedules(await engineOf(broker).lane("default"), ["s"]);
  const now = Math.floor(Date.now() / (10 * MINUTE)) * 10 * MINUTE + 5 * MINUTE;
  const made = { ...readDefinition(kept?.definition), changedAt: now - 70 * MINUTE, createdAt: now - 70 * MINUTE };
  await redis.hset(keys.cron, "definition:s", writeDefinition(made as never));
  await using scheduler = await testScheduler({ namespace, crons: [], startMs: now - 70 * MINUTE });
  await scheduler.refresh();
  await scheduler.fireAt(now - 10 * MINUTE);
  // Skipped: another run holds the lock.
  await redis.set(keys.lock("s"), "the-one-before", "PX", MINUTE);
  work.work();
  const skipped = await broker.schedules.trigger("s");
  await work.ledger.ended([skipped.id]);
  await redis.del(keys.lock("s"));
  const succeeded = await broker.schedules.trigger("s");
  await work.ledger.ended([succeeded.id]);

  const projector = startProjector(t, { redis: url, database, namespace });
  const statuses = sql.unsafe`select status from cron_job_runs where task_name = 'report' and status in ('missed', 'skipped', 'success')`;
  await eventually(async () => (await pool.any(statuses)).length === 3);
  await projector.stop();
  await pool.query(sql.unsafe`update cron_job_runs set duration_ms = 45000 where status = 'success'`);
  await redis.set(keys.lock("s"), "the-one-at-work", "PX", MINUTE);

  const env = { REDIS_URL: url, DATABASE_URL: database, TASKTRAIL_NAMESPACE: namespace };
  const [shown, history, doctor] = await Promise.all(
    [["crons"], ["crons", "history", "s"], ["doctor"]].map((args) => tasktrail(args, { env })),
  );
  assert.match(shown?.out ?? "", /^s +task report +\*\/10 \* \* \* \* +UTC +Every 10 minutes/);
  assert.match(shown?.out ?? "", /last +\S+ \([^)]*\) +success, took 45s/);
  assert.match(shown?.out ?? "", /next +\S+ \(in [^,]+, in [^,]+, in [^,]+\)/);
  assert.match(shown?.out ?? "", /lock +held by run the-one-at-work/);
  assert.match(history?.out ?? "", /success +manual/);
  assert.match(history?.out ?? "", /skipped +manual.*overlap_lock_held, held by the-one-before/);
  assert.match(history?.out ?? "", /missed .*misfire_skip, 6 slots/);
  assert.match(doctor?.out ?? "", /lockTtl of "s" is 30s, and 1 of its latest 1 run took longer/);

  await broker.schedules.pause("s");
  const paused = await tasktrail(["crons"], { env });
  assert.match(paused.out, /next +none while it is paused/);
  assert.match(paused.out, /state +paused since/);
});
