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
  } as unknown as Attempt;
}

test("start and success say what they are to say", () => {
  const text = anyText();
  const traces = fc.option(text, { nil: undefined });
  const durations = fc.double({ min: 0, max: 1e9, noNaN: true });
  fc.assert(
    fc.property(text, traces, durations, (task, trace, took) => {
      const attempt = attemptOf(task, trace);
      const traced = trace === undefined ? {} : { traceparent: trace };
      const common = { run, task, attempt: 3, delivery: 2, at: 1_500, ...traced };
      assert.deepEqual(startOf(attempt), {
        events: [{ type: "run.started", ...common, waitedMs: 500 }],
        isPlain: true,
      });
      const { events, isPlain } = success(attempt, took);
      assert.deepEqual(events, [{ type: "run.succeeded", ...common, durationMs: took }]);
      assert.equal(isPlain, true);
    }),
  );
});

test("the start of a cron run tells of its slot, and so is no plain one", () => {
  const start = startOf(attemptOf("close_day", undefined, { schedule: "close_day", at: 900 }));
  const [{ schedule, slot }] = start.events;
  assert.deepEqual({ schedule, slot }, { schedule: "close_day", slot: 900 });
  assert.notEqual(start.isPlain, true);
});
