import assert from "node:assert/strict";
import { test } from "node:test";
import type { LedgerEvent } from "../../streams/events.ts";
import { grownOf, slopeOf } from "./memory.ts";
import { noiseOf } from "./noise.ts";
import { emptyTally, percentile, recoveryTimes, take, takeoverTimes } from "./tally.ts";

const line = (time: number, msg: string, more: object = {}) => JSON.stringify({ level: 40, time, msg, ...more });

test("noise is the most lines of one class by one process within five seconds, and what is no line of ours is strange", () => {
  const loud = { errors: () => [line(0, "a"), line(4_000, "a"), line(4_100, "b"), line(4_800, "a"), line(9_800, "a")] };
  const other = { errors: () => [line(0, "a"), line(1, "a", { err: { code: "X" } }), "(node:1) Warning: leak"] };
  assert.deepEqual(noiseOf([loud, other]), { strange: ["(node:1) Warning: leak"], worst: 3, worstClass: "a" });
});

test("memory that grows by a megabyte a second grows by 60 a minute, and the first ten seconds do not count", () => {
  const grown = Array.from({ length: 41 }, (_, at) => ({ at: at * 1_000, mb: at < 10 ? 500 : at }));
  assert.equal(Math.round(slopeOf(grown) as number), 60);
  assert.equal(grownOf(grown), 20);
  assert.deepEqual([slopeOf(grown.slice(0, 25)), grownOf(grown.slice(0, 25))], [undefined, undefined]);
});

test("a result of an earlier delivery is a zombie's, unless the run lies in another entry by then", () => {
  const ofRun = { v: 1, run: "r", task: "t", queue: "q", attempt: 1, at: 1 } as const;
  const events: LedgerEvent[] = [
    { type: "run.enqueued", ...ofRun },
    { type: "run.redelivered", ...ofRun, delivery: 2, from: "a", to: "b" },
    { type: "run.deferred", ...ofRun, reason: "unknown_task", retryAt: 2 },
    { type: "run.due", ...ofRun },
    { type: "run.started", ...ofRun, delivery: 1, worker: "b" },
    { type: "run.succeeded", ...ofRun, delivery: 1, worker: "b", durationMs: 1 },
  ];
  const zombiesIn = (history: readonly LedgerEvent[]) => {
    const tally = emptyTally();
    for (const event of history) take(tally, event);
    return tally.zombieWrites;
  };
  assert.deepEqual([zombiesIn(events), zombiesIn(events.filter(({ type }) => type !== "run.due"))], [0, 1]);
});

test("recovery is counted from a death to each takeover, and from a fault's end to the next ending", () => {
  const tally = emptyTally();
  const ofRun = { v: 1, run: "r", task: "t", queue: "q", attempt: 1 } as const;
  take(tally, { type: "run.enqueued", ...ofRun, at: 1 });
  take(tally, { type: "run.redelivered", ...ofRun, at: 2_500, delivery: 2, from: "host-7-abc", to: "host-8-abc" });
  take(tally, { type: "run.started", ...ofRun, at: 2_600, delivery: 2, worker: "host-8-abc" });
  take(tally, { type: "run.succeeded", ...ofRun, at: 2_700, delivery: 2, worker: "host-8-abc", durationMs: 1 });
  assert.deepEqual(takeoverTimes(tally, new Map([[7, 500]])), [2_000]);
  assert.deepEqual(recoveryTimes(tally, [2_000, 3_000]), [700]);
  assert.deepEqual([percentile([3, 1, 2], 0.5), percentile([], 0.5)], [2, undefined]);
});
