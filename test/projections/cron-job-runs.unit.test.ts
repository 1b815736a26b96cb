import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { cronJobRuns } from "../../projections/cron-job-runs.ts";
import { cronJobRun } from "../../sql/queries/cron-job-runs.ts";
import type { EventType, LedgerEvent } from "../../streams/events.ts";
import { AT, aHistory, anEvent, CRON_RUN, EVENT_TYPES, RUN } from "./events.ts";
import { foldInBatches } from "./fold.ts";
import { histories } from "./histories.ts";

const ENQUEUED: [EventType, object] = [
  "run.enqueued",
  { schedule: "sync_external_data", slot: AT, trigger: "schedule" },
];

function rowsAfter(events: readonly LedgerEvent[]) {
  return [...foldInBatches(cronJobRuns, events).rows.values()].map((row) => cronJobRun.parse(row));
}
function rowAfter(...steps: (EventType | [EventType, object])[]) {
  const rows = rowsAfter(aHistory(CRON_RUN, ["slot.fired", { run: CRON_RUN }], ENQUEUED, ...steps));
  assert.equal(rows.length, 1);
  return rows[0];
}

test("a slot that fired and succeeded leaves one row", () => {
  assert.deepEqual(rowAfter("run.started", "run.succeeded"), {
    id: CRON_RUN,
    queue: "default",
    schedule: "sync_external_data",
    taskName: "send_welcome_email",
    runId: CRON_RUN,
    scheduledFor: AT,
    timezone: "Europe/Berlin",
    scheduledLocal: "2023-11-14T23:13:20+01:00",
    trigger: "schedule",
    status: "success",
    firedAt: AT,
    startedAt: AT + 2_000,
    endedAt: AT + 3_000,
    lateMs: 12,
    waitedMs: 3.5,
    durationMs: 12.5,
    attempts: 1,
    redeliveries: 0,
    worker: "worker-1",
    reason: null,
    holder: null,
    missedUntil: null,
    missedCount: null,
    isMissedCountLeast: null,
    errorType: null,
    errorMessage: null,
    errorStack: null,
    traceId: "0123456789abcdef0123456789abcdef",
  });
});

test("a slot that fired and has not started is waiting", () => {
  const row = rowAfter();
  assert.deepEqual([row?.status, row?.startedAt, row?.endedAt], ["waiting", null, null]);
});

test("the status follows the run: running, retrying, and failure with type, message and stack", () => {
  assert.equal(rowAfter("run.started")?.status, "running");
  assert.equal(rowAfter("run.started", "run.failed")?.status, "retrying");
  const row = rowAfter("run.started", "run.failed", "run.due", ["run.started", { attempt: 2 }], "run.died");
  assert.equal(row?.status, "failure");
  assert.deepEqual([row?.errorType, row?.errorMessage, row?.attempts], ["RangeError", "out of range", 2]);
  assert.match(row?.errorStack ?? "", /at here/);
});

test("a failure without an error of its own says what it died of", () => {
  const row = rowAfter(["run.died", { reason: "expired", error: undefined, durationMs: undefined }]);
  assert.deepEqual([row?.status, row?.errorType, row?.startedAt], ["failure", "expired", null]);
  assert.match(row?.errorMessage ?? "", /had not started/);
});

test("a skip keeps its reason and who held the lock", () => {
  const row = rowAfter("run.skipped");
  assert.deepEqual(
    [row?.status, row?.reason, row?.holder],
    ["skipped", "held", "5f1d36a1-0000-5abc-8000-00000000000f"],
  );
  const [unfired] = rowsAfter([anEvent("slot.skipped", {}, { run: undefined })]);
  assert.deepEqual(
    [unfired?.status, unfired?.id, unfired?.runId],
    ["skipped", `default/sync_external_data/${AT}`, null],
  );
});

test("a range of missed slots is one row with its count", () => {
  const [row] = rowsAfter([anEvent("slot.missed", {}, { run: undefined })]);
  assert.deepEqual(
    [row?.status, row?.scheduledFor, row?.missedUntil, row?.missedCount, row?.isMissedCountLeast, row?.reason],
    ["missed", AT, AT + 180_000, 4, true, "nobody was there"],
  );
});

test("a cancelled run is cancelled, a lost one a failure", () => {
  assert.equal(rowAfter("run.started", "run.cancelled")?.status, "cancelled");
  assert.deepEqual([rowAfter("run.lost")?.status, rowAfter("run.lost")?.errorType], ["failure", "lost"]);
});

test("events may come in another order than they are told: the slot after its run", () => {
  const [row] = rowsAfter(aHistory(CRON_RUN, ENQUEUED, "slot.fired", "run.started"));
  assert.deepEqual([row?.status, row?.firedAt, row?.trigger], ["running", AT + 1_000, "schedule"]);
});

test("runs of no schedule have no row, whatever the version of their id", () => {
  assert.deepEqual(rowsAfter(aHistory(RUN, "run.enqueued", "run.started", "run.succeeded")), []);
  assert.deepEqual(rowsAfter(aHistory(CRON_RUN, "run.enqueued", "run.started", "run.succeeded")), []);
});

test("any event may be the first one", () => {
  for (const type of EVENT_TYPES) {
    for (const extra of [{}, { schedule: "sync_external_data" }]) {
      for (const row of rowsAfter([{ ...anEvent(type, { run: CRON_RUN }), ...extra } as LedgerEvent]))
        assert.equal(row.id, type === "slot.missed" ? `default/sync_external_data/${AT}` : CRON_RUN, type);
    }
  }
});

test("the size of batches changes nothing", () => {
  fc.assert(
    fc.property(
      histories,
      fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 5 }),
      (events, sizes) => {
        const { rows, refusals } = foldInBatches(cronJobRuns, events, sizes);
        assert.deepEqual(refusals, []);
        assert.deepEqual(rows, foldInBatches(cronJobRuns, events).rows);
        for (const row of rows.values()) cronJobRun.parse(row);
      },
    ),
    { numRuns: 300 },
  );
});
