import assert from "node:assert/strict";
import { test } from "node:test";
import { createRebuilder } from "../../otel/rebuild.ts";
import { toOtlp } from "../../otel/send-rebuilt.ts";
import type { LedgerEvent } from "../../streams/events.ts";
import { idsOfAttempt, idsOfDispatch } from "../../streams/trace-ids.ts";

const hex = (digit: string, length: number) => digit.repeat(length);
const traceparent = (trace: string, span: string) => `00-${hex(trace, 32)}-${hex(span, 16)}-01`;
const of = { v: 1, run: "r1", task: "greet", queue: "mail" } as const;
const held = { ...of, delivery: 1, worker: "w" } as const;
const error = { type: "TypeError", message: "no", stack: "TypeError: no\n    at x", fingerprint: "f" };

function rebuilt(events: readonly object[], rebuilder = createRebuilder()) {
  return events.flatMap((event) => rebuilder.take(event as LedgerEvent));
}

test("spans have the ids and the links that stand in the ledger", () => {
  const [dispatch, first, second] = [traceparent("a", "1"), traceparent("a", "2"), traceparent("b", "3")];
  const spans = rebuilt([
    { type: "run.enqueued", ...of, at: 1_000, traceparent: dispatch },
    { type: "run.started", ...held, attempt: 1, at: 1_010, traceparent: first },
    { type: "run.failed", ...held, attempt: 1, at: 1_020, durationMs: 9.5, error, traceparent: first },
    { type: "run.due", ...of, attempt: 2, at: 1_100, traceparent: dispatch },
    { type: "run.started", ...held, attempt: 2, at: 1_110, traceparent: second },
    { type: "run.succeeded", ...held, attempt: 2, at: 1_111, durationMs: 1, traceparent: second },
  ]);
  const told = spans.map(({ name, traceId, spanId, parentSpanId, links, startMs, endMs }) => [
    name,
    traceId[0],
    spanId[0],
    parentSpanId?.[0],
    links.map((link) => `${link.relation} ${link.spanId[0]}`),
    endMs - startMs,
  ]);
  assert.deepEqual(told, [
    ["enqueue mail", "a", "1", undefined, [], 0],
    ["process mail", "a", "2", "1", [], 9.5],
    ["process mail", "b", "3", undefined, ["dispatch 1", "previous attempt 2"], 1],
  ]);
  assert.deepEqual([spans[1]?.error?.type, spans[2]?.error], ["TypeError", undefined]);
});

test("what was never traced has the ids that it would have had", () => {
  const attempts = [1, 2].flatMap((attempt) => [
    { type: "run.started", ...held, attempt, at: attempt * 10 },
    {
      type: attempt === 1 ? "run.failed" : "run.succeeded",
      ...held,
      attempt,
      at: attempt * 10 + 1,
      durationMs: 1,
      error,
    },
  ]);
  const [dispatch, first, second] = rebuilt([{ type: "run.enqueued", ...of, at: 1 }, ...attempts]);
  const own = idsOfDispatch("r1");
  assert.deepEqual([dispatch?.traceId, dispatch?.spanId], [own.traceId, own.spanId]);
  const ids = [1, 2].map((attempt) => idsOfAttempt({ run: "r1", attempt, delivery: 1 }));
  assert.deepEqual([first?.spanId, first?.traceId, first?.parentSpanId], [ids[0]?.spanId, own.traceId, own.spanId]);
  assert.deepEqual(
    [second?.spanId, second?.traceId, second?.parentSpanId],
    [ids[1]?.spanId, ids[1]?.traceId, undefined],
  );
});

test("a dispatch within a handler is below its attempt; one of many runs is one span", () => {
  const [outer, own, inner] = [traceparent("a", "1"), traceparent("a", "2"), traceparent("a", "3")];
  const child = { type: "run.enqueued", ...of, parent: "r1", traceparent: inner };
  const spans = rebuilt([
    { type: "run.enqueued", ...of, at: 1, traceparent: outer },
    { type: "run.started", ...held, attempt: 1, at: 2, traceparent: own },
    { ...child, run: "r2", at: 3 },
    { ...child, run: "r3", at: 3 },
  ]);
  assert.deepEqual(
    spans.map(({ spanId, parentSpanId }) => [spanId[0], parentSpanId?.[0]]),
    [
      ["1", undefined],
      ["3", "2"],
    ],
  );
});

test("a handler that traced nothing has its dispatches below its attempt, under ids that follow from theirs", () => {
  const outer = traceparent("a", "1");
  const child = { ...of, run: "r2", parent: "r1" };
  const spans = rebuilt([
    { type: "run.enqueued", ...of, at: 1, traceparent: outer },
    { type: "run.started", ...held, attempt: 1, at: 2, traceparent: outer },
    { type: "run.enqueued", ...child, at: 3, traceparent: outer },
    { type: "run.started", ...held, run: "r2", attempt: 1, at: 4, traceparent: outer },
    { type: "run.succeeded", ...held, run: "r2", attempt: 1, at: 5, traceparent: outer },
  ]);
  const [attempt, dispatch] = [idsOfAttempt({ run: "r1", attempt: 1, delivery: 1 }), idsOfDispatch("r2")];
  assert.deepEqual(
    spans.map((span) => [span.traceId, span.parentSpanId]),
    [
      [hex("a", 32), undefined],
      [hex("a", 32), attempt.spanId],
      [hex("a", 32), dispatch.spanId],
    ],
  );
});

test("a run that subscribes to what an attempt has published begins below that attempt", () => {
  const [dispatch, own] = [traceparent("a", "1"), traceparent("a", "2")];
  const spans = rebuilt([
    { type: "run.enqueued", ...of, at: 1, traceparent: dispatch },
    { type: "run.started", ...held, attempt: 1, at: 2, traceparent: own },
    { type: "run.succeeded", ...held, attempt: 1, at: 3, durationMs: 1, traceparent: own },
    { type: "run.enqueued", ...of, run: "r2", at: 4, traceparent: own },
  ]);
  const [, attempt, second] = spans;
  assert.equal(attempt?.spanId, hex("2", 16));
  assert.deepEqual([second?.spanId, second?.parentSpanId], [idsOfDispatch("r2").spanId, hex("2", 16)]);
});

test("a redriven run has no dispatch of its own, and links to the last attempt of the one that died", () => {
  const [dispatch, last] = [traceparent("a", "1"), traceparent("a", "2")];
  const again = { ...of, run: "r2", redriveOf: "r1", traceparent: dispatch };
  const spans = rebuilt([
    { type: "run.enqueued", ...of, at: 1, traceparent: dispatch },
    { type: "run.started", ...held, attempt: 1, at: 2, traceparent: last },
    { type: "run.died", ...held, attempt: 1, at: 3, durationMs: 1, reason: "attempts", error, traceparent: last },
    { type: "run.enqueued", ...again, at: 4 },
    { type: "run.started", ...held, run: "r2", attempt: 1, at: 5, traceparent: traceparent("b", "3") },
    { type: "run.succeeded", ...held, run: "r2", attempt: 1, at: 6, traceparent: traceparent("b", "3") },
  ]);
  assert.equal(spans.length, 3);
  assert.deepEqual(
    spans[2]?.links.map(({ relation, spanId }) => `${relation} ${spanId[0]}`),
    ["dispatch 1", "previous attempt 2"],
  );
});

test("a worker that died leaves a span that ends when its run was taken over", () => {
  const [span] = rebuilt([
    { type: "run.started", ...held, attempt: 1, at: 10, traceparent: traceparent("a", "2") },
    { type: "run.redelivered", ...of, attempt: 1, delivery: 2, from: "w", to: "x", at: 60 },
  ]);
  assert.deepEqual([span?.spanId[0], span?.startMs, span?.endMs], ["2", 10, 60]);
  assert.equal(span?.attributes["tasktrail.outcome"], "interrupted");
});

test("a slot that fires is a root, a run that was skipped a span without length, and what goes on is counted", () => {
  const rebuilder = createRebuilder();
  const slot = { schedule: "nightly", slot: 0 };
  const spans = rebuilt(
    [
      { type: "run.enqueued", ...of, ...slot, trigger: "schedule", at: 1, traceparent: traceparent("a", "1") },
      { type: "run.skipped", ...of, reason: "overlap_lock_held", at: 2, traceparent: traceparent("a", "1") },
      { type: "run.started", ...held, run: "r9", attempt: 1, at: 3 },
    ],
    rebuilder,
  );
  assert.deepEqual(
    spans.map(({ name, kind, endMs, startMs }) => [name, kind, endMs - startMs]),
    [
      ["cron fire nightly", "internal", 0],
      ["process mail", "consumer", 0],
    ],
  );
  assert.equal(rebuilder.openCount(), 1);
});

test("OTLP has ids in hexadecimal, times in nanoseconds as text, and errors with their stack", () => {
  const spans = rebuilt([
    { type: "run.started", ...held, attempt: 1, at: 1_700_000_000_123, traceparent: traceparent("a", "2") },
    { type: "run.died", ...held, attempt: 1, at: 1_700_000_000_200, durationMs: 1.5, reason: "attempts", error },
  ]);
  const { resourceSpans } = toOtlp(spans, "shop") as {
    resourceSpans: { scopeSpans: { spans: Record<string, unknown>[] }[] }[];
  };
  const span = resourceSpans[0]?.scopeSpans[0]?.spans[0];
  assert.equal(span?.traceId, hex("a", 32));
  assert.equal(span?.startTimeUnixNano, "1700000000123000000");
  assert.equal(span?.endTimeUnixNano, "1700000000124500000");
  assert.deepEqual(span?.status, { code: 2, message: "no" });
  assert.match(JSON.stringify(span?.events), /exception\.stacktrace.*TypeError: no/);
});
