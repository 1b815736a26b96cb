import assert from "node:assert/strict";
import { test } from "node:test";
import { foldShare, shareOf, toBatch } from "../../projections/batch.ts";
import { type AnyProjection, HistoryViolation } from "../../projections/projection.ts";
import { taskRuns } from "../../projections/task-runs.ts";
import { encodeEvents, encodeHeader, type LedgerEntry } from "../../streams/ledger.ts";
import { aHistory, anEvent, RUN } from "./events.ts";

const OTHER = "01890000-0000-7abc-8000-000000000002";

/** Refuses what it is told to refuse; otherwise task_runs. */
function refusing(refuses: (type: string, run: string) => boolean): AnyProjection {
  return {
    ...(taskRuns as AnyProjection),
    fold(row, event) {
      if (refuses(event.type, (event as { run: string }).run)) throw new Error("poison");
      return (taskRuns as AnyProjection).fold(row, event);
    },
  };
}

function entry(id: string, events: string, call = 1): LedgerEntry {
  const header = encodeHeader({ incarnation: "p", call, clockOffsetMs: 0 }, { queue: "q", at: 5 });
  return { id, header, count: 1, events };
}

test("a batch moves the checkpoint to its last entry and counts what it holds", () => {
  const batch = toBatch(
    [
      entry("5-0", encodeEvents([{ type: "run.due", run: RUN, task: "t" }]), 1),
      entry("6-2", '[{"type":"run.due","run":"x","task":"t"},{"type":"run.teleported"}]', 2),
      entry("7-1", "nonsense", 3),
    ],
    { lane: "ns:q", incarnation: "life1" },
  );
  assert.deepEqual(batch.to, { ms: 7, seq: 1, token: "p/3", entries: 3, events: 4, unknown: 2 });
  assert.deepEqual(
    batch.events.map(({ type, position }) => [type, position]),
    [
      ["run.due", "q/life1/5-0/0"],
      ["run.due", "q/life1/6-2/0"],
    ],
  );
  assert.equal(batch.archived.length, 3);
});

test("an event that the fold refuses stops its key at the row before, and nothing else", () => {
  const events = [
    ...aHistory(RUN, "run.enqueued", "run.started", "run.succeeded"),
    ...aHistory(OTHER, "run.enqueued", "run.started"),
  ];
  const { rows, refusals } = foldShare(
    shareOf(
      refusing((type, run) => run === RUN && type === "run.started"),
      events,
      new Set(),
    ),
    new Map(),
  );
  assert.equal(rows.get(RUN)?.row.status, "waiting");
  assert.equal(rows.get(OTHER)?.row.status, "running");
  assert.deepEqual(
    refusals.map(({ key, event, projection }) => [projection, key, event.type]),
    [["task_runs", RUN, "run.started"]],
  );
});

test("events of a parked key are left out", () => {
  const share = shareOf(taskRuns as AnyProjection, aHistory(RUN, "run.enqueued", "run.started"), new Set([RUN]));
  assert.deepEqual([share.steps, share.refusals], [[], []]);
});

test("an event without a usable key is parked by itself, under its position", () => {
  const event = anEvent("run.due", { run: "no-uuid", position: "q/life1/5-0/3" });
  const { refusals, steps } = shareOf(taskRuns as AnyProjection, [event], new Set());
  assert.deepEqual([refusals[0]?.key, steps.length], ["q/life1/5-0/3", 0]);
  const strange: AnyProjection = { ...(taskRuns as AnyProjection), key: () => "a\0b" };
  assert.match(String(shareOf(strange, [event], new Set()).refusals[0]?.error), /Postgres/);
});

test("a violation is no poison: it goes through to whoever runs the projector", () => {
  const events = aHistory(RUN, "run.enqueued", "run.started", "run.succeeded", "run.started");
  assert.throws(() => foldShare(shareOf(taskRuns as AnyProjection, events, new Set()), new Map()), HistoryViolation);
});

test("a row that an event leaves as it was is not written again", () => {
  const projection: AnyProjection = { ...(taskRuns as AnyProjection), fold: (row) => row };
  const before = new Map([[RUN, { id: RUN }]]);
  assert.equal(foldShare(shareOf(projection, [anEvent("run.due")], new Set()), before).rows.size, 0);
});
