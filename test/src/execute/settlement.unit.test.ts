import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Attempt } from "../../../src/execute/attempt.ts";
import { startOf, success } from "../../../src/execute/settlement.ts";
import { createRunIds } from "../../../streams/ids.ts";
import { anyText } from "../../support/texts.ts";

const run = createRunIds("default")(0);

/** What starting and ending read of an attempt. */
function attemptOf(task: string, traceparent: string | undefined, cron?: object): Attempt {
  return {
    hold: {
      delivery: { delivery: 2, entry: { run, task, attempt: 3 } },
      workLane: { lane: { clock: { now: () => 1_500.7 } } },
    },
    meta: { enqueuedAt: 1_000, cron },
    carrier: traceparent === undefined ? {} : { traceparent },
    policies: { resultTtlMs: 0 },
    resultJson: "",
    common: "",
  } as unknown as Attempt;
}

test("start and success are written by hand as JSON would write them", () => {
  const text = anyText();
  fc.assert(
    fc.property(
      text,
      fc.option(text, { nil: undefined }),
      fc.double({ min: 0, max: 1e9, noNaN: true }),
      (task, trace, took) => {
        const attempt = attemptOf(task, trace);
        const start = startOf(attempt);
        const ending = success(attempt, took);
        const traced = trace === undefined ? {} : { traceparent: trace };
        const common = { run, task, attempt: 3, delivery: 2, at: 1_500, ...traced };
        assert.deepEqual(start.events, [{ type: "run.started", ...common, waitedMs: 500 }]);
        assert.deepEqual(ending.events, [{ type: "run.succeeded", ...common, durationMs: took }]);
        for (const { events, json } of [start, ending]) assert.deepEqual(JSON.parse(`[${json}]`), written(events));
      },
    ),
  );
});

test("the start of a cron run is left to JSON, and so is its ending", () => {
  const attempt = attemptOf("close_day", undefined, { schedule: "close_day", at: 900 });
  const start = startOf(attempt);
  assert.deepEqual(start.json, undefined);
  assert.equal(success(attempt, 1).json, undefined);
});

function written(events: readonly object[]): unknown {
  return JSON.parse(JSON.stringify(events));
}
