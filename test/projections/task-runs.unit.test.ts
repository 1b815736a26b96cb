import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { HistoryViolation } from "../../projections/projection.ts";
import { taskRuns } from "../../projections/task-runs.ts";
import { taskRun } from "../../sql/queries/task-runs.ts";
import { isEnding, type LedgerEvent } from "../../streams/events.ts";
import { LEGAL, stateAfter } from "../../streams/run.ts";
import { AT, aHistory, anEvent, EVENT_TYPES, RUN } from "./events.ts";
import { foldInBatches } from "./fold.ts";
import { histories } from "./histories.ts";

function rowAfter(events: readonly LedgerEvent[]) {
  return taskRun.optional().parse(foldInBatches(taskRuns, events).rows.get(RUN));
}

test("a run that succeeds leaves a row with every instant, duration and place of its life", () => {
  const row = rowAfter(aHistory(RUN, "run.enqueued", "run.started", "run.succeeded"));
  assert.deepEqual(row, {
    id: RUN,
    queue: "default",
    taskName: "send_welcome_email",
    status: "succeeded",
    attempts: 1,
    redeliveries: 0,
    deferrals: 0,
    enqueuedAt: AT,
    dueAt: null,
    expiresAt: AT + 60_000,
    startedAt: AT + 1_000,
    lastStartedAt: AT + 1_000,
    endedAt: AT + 2_000,
    cancelRequestedAt: null,
    waitedMs: 3.5,
    durationMs: 12.5,
    worker: "worker-1",
    reason: null,
    errorType: null,
    errorMessage: null,
    errorStack: null,
    errorCode: null,
    errorFingerprint: null,
    key: "welcome:abc123",
    labels: { tenant: "acme" },
    taskVersion: 2,
    schedule: null,
    slot: null,
    trigger: null,
    parent: "p",
    root: "r",
    redriveOf: "o",
    redrivenAs: null,
    traceId: "0123456789abcdef0123456789abcdef",
    positions: `default/life1 ${AT}-0 ${AT + 1_000}-0 ${AT + 2_000}-0`,
  });
});

test("a failure with another try is retrying, and the error stays when a later attempt succeeds", () => {
  const failing = aHistory(RUN, "run.enqueued", "run.started", "run.failed");
  const failed = rowAfter(failing);
  assert.equal(failed?.status, "retrying");
  assert.equal(failed?.dueAt, AT + 5_000);
  assert.equal(failed?.errorMessage, "out of range");
  const again = aHistory(
    RUN,
    "run.enqueued",
    "run.started",
    "run.failed",
    "run.due",
    ["run.started", { attempt: 2 }],
    ["run.succeeded", { attempt: 2 }],
  );
  const row = rowAfter(again);
  assert.deepEqual([row?.status, row?.attempts, row?.errorType], ["succeeded", 2, "RangeError"]);
  assert.equal(row?.startedAt, AT + 1_000);
  assert.equal(row?.lastStartedAt, AT + 4_000);
});

test("a hand-over after a crash is a redelivery and no attempt", () => {
  const row = rowAfter(
    aHistory(RUN, "run.enqueued", "run.started", "run.redelivered", ["run.started", { delivery: 2 }], "run.succeeded"),
  );
  assert.deepEqual([row?.attempts, row?.redeliveries, row?.status], [1, 1, "succeeded"]);
});

test("each ending is told apart, with its reason", () => {
  const ended = (type: Parameters<typeof aHistory>[1]) => rowAfter(aHistory(RUN, "run.enqueued", "run.started", type));
  assert.deepEqual(
    [ended("run.died")?.status, ended("run.died")?.reason, ended("run.died")?.errorCode],
    ["died", "attempts", "E_RANGE"],
  );
  assert.deepEqual([ended("run.cancelled")?.status, ended("run.cancelled")?.reason], ["cancelled", "asked for"]);
  assert.deepEqual([ended("run.lost")?.status, ended("run.lost")?.reason], ["lost", "lost"]);
  assert.equal(ended(["run.cancelled", { reason: undefined }])?.reason, "cancelled");
  const skipped = rowAfter(aHistory(RUN, "run.enqueued", "run.skipped"));
  assert.deepEqual([skipped?.status, skipped?.reason, skipped?.attempts], ["skipped", "held", 0]);
});

test("any event may be the first one of a run: rows age out", () => {
  for (const type of EVENT_TYPES) {
    const row = rowAfter([anEvent(type)]);
    const step = LEGAL[type];
    assert.equal(row?.status, step?.to, type);
    if (row !== undefined) assert.equal(row.taskName, type === "run.lost" ? row.taskName : "send_welcome_email");
  }
});

test("a note before everything else makes no row, since it tells no state", () => {
  assert.equal(rowAfter([anEvent("run.cancel_requested")]), undefined);
});

test("the status is the one that the state machine gives, for every legal history", () => {
  fc.assert(
    fc.property(histories, (events) => {
      const { rows, refusals } = foldInBatches(taskRuns, events);
      assert.deepEqual(refusals, []);
      for (const [run, row] of rows) {
        const own = events.filter((event) => (event as { run?: string }).run === run);
        assert.equal(row.status, stateAfter(own));
        taskRun.parse(row);
      }
    }),
    { numRuns: 300 },
  );
});

test("the size of batches changes nothing", () => {
  fc.assert(
    fc.property(
      histories,
      fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 5 }),
      (events, sizes) => {
        assert.deepEqual(foldInBatches(taskRuns, events, sizes).rows, foldInBatches(taskRuns, events).rows);
      },
    ),
    { numRuns: 300 },
  );
});

test("a transition after an ending is a violation; a note is none", () => {
  const ended = aHistory(RUN, "run.enqueued", "run.started", "run.succeeded");
  for (const type of EVENT_TYPES) {
    if (LEGAL[type] === undefined) continue;
    const late = anEvent(type, { at: AT + 9_000, position: `default/life1/${AT + 9_000}-0/0` });
    assert.throws(() => rowAfter([...ended, late]), HistoryViolation, type);
  }
  const noted = rowAfter([...ended, anEvent("run.fenced", { position: `default/life1/${AT + 9_000}-0/0` })]);
  assert.equal(noted?.status, "succeeded");
  assert.match(noted?.positions ?? "", new RegExp(`${AT + 9_000}-0$`));
});

test("after a failover that lost the ending, the first ending stands", () => {
  const ended = aHistory(RUN, "run.enqueued", "run.started", "run.succeeded");
  const again = ["run.started", "run.died"] as const;
  const second = again.map((type, n) =>
    anEvent(type, { position: `default/life2/${AT + 9_000 + n}-0/0`, at: AT + 9_000 + n }),
  );
  const row = rowAfter([...ended, ...second]);
  assert.deepEqual([row?.status, row?.endedAt], ["succeeded", AT + 2_000]);
  assert.match(row?.positions ?? "", /\ndefault\/life2 /);
});

test("an event from before what the row has seen is a violation", () => {
  const events = aHistory(RUN, "run.enqueued", "run.started");
  assert.throws(
    () => rowAfter([...events, anEvent("run.fenced", { position: `default/life1/${AT - 1}-0/0` })]),
    HistoryViolation,
  );
});

test("the fold leaves the row that it was given as it was", () => {
  const row = Object.freeze(rowAfter(aHistory(RUN, "run.enqueued", "run.started")));
  for (const type of EVENT_TYPES) {
    const event = anEvent(type, { position: `default/life1/${AT + 5_000}-0/0` });
    assert.doesNotThrow(() => taskRuns.key(event) !== undefined && taskRuns.fold(row, event), type);
  }
});

test("progress is not projected, and what is no run id is refused", () => {
  assert.equal(taskRuns.key(anEvent("run.progressed")), undefined);
  assert.throws(() => taskRuns.key(anEvent("run.due", { run: "no-uuid" })), /no run id/);
  assert.ok(EVENT_TYPES.filter(isEnding).length === 5);
});
