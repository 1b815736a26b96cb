import assert from "node:assert/strict";
import { test } from "node:test";
import { sql } from "slonik";
import { z } from "zod";
import { aPool, startProjector } from "../../projections/lane-fixture.ts";
import { eventually, testDatabase, testNamespace, testRedis } from "../../support/servers.ts";
import { testScheduler } from "./rig.ts";

const MINUTE = 60_000;
// Instants in the past: a slot that is yet to come is refused by Redis' own clock.
const start = Date.parse("2026-03-01T00:00:00Z");

const row = z.object({
  status: z.string(),
  trigger: z.string().nullable(),
  slot: z.string(),
  until: z.string().nullable(),
  missed: z.number().nullable(),
  reason: z.string().nullable(),
});
const findRows = sql.type(row)`
  select status, trigger, to_char(scheduled_for at time zone 'utc', 'HH24:MI') as slot,
    to_char(missed_until at time zone 'utc', 'HH24:MI') as until, missed_count as missed, reason
  from cron_job_runs order by scheduled_for`;

const expected = {
  skip: ["waiting 00:10", "missed 00:20–01:00 5 misfire_skip"],
  fire_once: ["waiting 00:10", "missed 00:20–00:50 4 misfire_fire_once", "waiting 01:00 catch_up"],
  fire_all: [
    "waiting 00:10",
    ...["00:20", "00:30", "00:40", "00:50", "01:00"].map((slot) => `waiting ${slot} catch_up`),
  ],
} as const;

for (const misfire of ["skip", "fire_once", "fire_all"] as const) {
  test(`after an hour without a scheduler, the rows of cron_job_runs say what \`${misfire}\` made of it`, async (t) => {
    const where = { redis: await testRedis(), database: await testDatabase(), namespace: testNamespace() };
    const crons = [{ expression: "*/10 * * * *", misfire }];
    await using one = await testScheduler({ namespace: where.namespace, crons, startMs: start });
    await one.refresh();
    await one.fireAt(start + 10 * MINUTE);
    await one.fireAt(start + 65 * MINUTE);

    const pool = await aPool(t, where.database);
    const projector = startProjector(t, where);
    const rows = await eventually(async () => {
      const found = await pool.any(findRows);
      return found.length === expected[misfire].length && found;
    });
    await projector.stop();
    assert.deepEqual(
      rows.map(({ status, trigger, slot, until, missed, reason }) =>
        until === null
          ? `${status} ${slot}${trigger === "catch_up" ? " catch_up" : ""}`
          : `${status} ${slot}–${until} ${missed} ${reason}`,
      ),
      expected[misfire],
    );
  });
}
