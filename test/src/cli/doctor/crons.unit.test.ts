import assert from "node:assert/strict";
import { test } from "node:test";
import { checkCrons, locksOf } from "../../../../src/cli/doctor/crons.ts";
import { cronRecord } from "../../../../src/define/cron-record.ts";
import { changed } from "../../../../src/schedule/definition.ts";
import type { ScheduleView } from "../../../../src/schedule/view.ts";

function aView(schedule: string, overlap: "skip" | "allow"): ScheduleView {
  const content = { task: schedule, ...cronRecord("0 * * * *", { overlap, lockTtl: "1m" }) };
  const definition = changed({ content, before: undefined, nowMs: 0, source: "declared" });
  return {
    schedule,
    queue: "default",
    definition,
    isDeclared: true,
    seenAt: 0,
    lastSlot: undefined,
    firedCount: 0,
    next: [],
    lockHolder: undefined,
  };
}

const times = { queue: "default", schedule: "sync", runCount: 100, overCount: 3, longestMs: 90_000, usualMs: 40_000 };

test("a lock that runs have outlived is warned of, with how long they take and what to set", () => {
  const views = [aView("sync", "skip"), aView("free", "allow")];
  assert.deepEqual(
    locksOf(views).map(({ schedule }) => schedule),
    ["sync"],
  );
  const [finding, ...more] = checkCrons(views, [times]);
  assert.equal(finding?.level, "warn");
  assert.match(
    `${finding?.what} ${finding?.advice}`,
    /lockTtl of "sync" is 60s.*3 of its latest 100 runs.*Raise lockTtl to 3m/,
  );
  assert.deepEqual(more, []);
});

test("a schedule whose move to another queue broke off fires nowhere, and that is told", () => {
  const view = aView("sync", "skip");
  const [finding, ...more] = checkCrons([{ ...view, definition: { ...view.definition, leavingTo: "mail" } }], []);
  assert.match(
    `${finding?.level} ${finding?.what} ${finding?.advice}`,
    /warn "sync" is on its way.*mail.*Schedulers bring it there/,
  );
  assert.deepEqual(more, []);
});

test("locks that have been long enough are told of once, and nothing is said where there is no schedule", () => {
  assert.deepEqual(
    checkCrons([aView("sync", "skip")], []).map(({ level }) => level),
    ["ok"],
  );
  assert.deepEqual(checkCrons([], []), []);
});
