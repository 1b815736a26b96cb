import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Attempt } from "../../../src/execute/attempt.ts";
import { success, withStart } from "../../../src/execute/plain-settlement.ts";
import { retry, startOf } from "../../../src/execute/settlement.ts";
import { leftOut } from "../../../src/left-out.ts";
import type { EntryMeta } from "../../../streams/entry.ts";
import type { EventDraft } from "../../../streams/events.ts";
import { createRunIds } from "../../../streams/ids.ts";
import { OF_ATTEMPT, OF_DISPATCH } from "../../../streams/trace-ids.ts";
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
      const traced = { traceparent: trace };
      const common = { run, task, attempt: 3, delivery: 2, at: 1_500, ...traced };
      const start = startOf(attempt);
      const started = { type: "run.started", ...common, waitedMs: 500 };
      assert.deepEqual([start.events, start.isPlain], [[started], true]);
      const ending = success(attempt, took);
      const succeeded = { type: "run.succeeded", ...common, durationMs: took };
      assert.deepEqual([ending.events, ending.isPlain], [[succeeded], true]);
      assert.equal(withStart(ending, start), ending);
      assert.deepEqual(ending.events, [started, succeeded]);
    }),
  );
});

test("the start of a cron run tells of its slot, and so is no plain one", () => {
  const start = startOf(attemptOf("close_day", undefined, { schedule: "close_day", at: 900 }));
  const [event] = start.events as readonly [EventDraft<"run.started">];
  assert.deepEqual([event.schedule, event.slot], ["close_day", 900]);
  assert.notEqual(start.isPlain, true);
  assert.equal(withStart(success(attemptOf("close_day", undefined), 1), start), undefined);
});

test("what sampling has left out is written beside its run as what it follows from, and in full for the attempt that comes after", () => {
  const of = (key: { attempt: number; delivery: number }): Attempt => ({
    ...attemptOf("greet", undefined),
    meta: { enqueuedAt: 1_000, traceparent: OF_DISPATCH },
    carrier: leftOut({ run, ...key }),
  });
  const ofDispatch = of({ attempt: 0, delivery: 0 });
  const own = of({ attempt: 3, delivery: 2 });
  for (const [attempt, short] of [
    [ofDispatch, OF_DISPATCH],
    [own, OF_ATTEMPT],
  ] as const) {
    for (const { events } of [startOf(attempt), success(attempt, 1)])
      assert.equal((events[0] as { traceparent?: string }).traceparent, short);
  }
  const next = (attempt: Attempt) => {
    const again = retry(attempt, 1, { error: new Error("no"), delayMs: 1 });
    const { previousTraceparent, traceparent } = JSON.parse(
      again.kind === "moved" ? again.move.meta : "{}",
    ) as EntryMeta;
    return [(again.events[0] as { traceparent?: string }).traceparent, previousTraceparent, traceparent];
  };
  const { traceparent } = own.carrier;
  assert.deepEqual(next(ofDispatch), [ofDispatch.carrier.traceparent, undefined, OF_DISPATCH]);
  assert.deepEqual(next(own), [traceparent, traceparent, OF_DISPATCH]);
});
