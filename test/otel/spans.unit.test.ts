import assert from "node:assert/strict";
import { test } from "node:test";
import { context, type SpanContext, SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import { InMemorySpanExporter, type ReadableSpan, SimpleSpanProcessor, TracerProvider } from "@opentelemetry/sdk-trace";
import { createChosenIds } from "../../otel/ids.ts";
import { formatTraceparent, spanContextOf } from "../../otel/propagation.ts";
import { type TracingOptions, tracing } from "../../otel/tracing.ts";
import type { Carrier, Ended, Execution, Hook, Middleware, Sending, Sent } from "../../src/middleware.ts";
import { idsOfAttempt } from "../../streams/trace-ids.ts";
import { anExecution } from "./an-execution.ts";

context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());

function recorder(options: TracingOptions = {}) {
  const exporter = new InMemorySpanExporter();
  const ids = createChosenIds();
  const provider = new TracerProvider({
    spanProcessors: [new SimpleSpanProcessor({ exporter })],
    idGenerator: ids,
  });
  const hooks = tracing({ provider, ids, ...options }) as Required<Middleware>;
  return { hooks, provider, spans: () => exporter.getFinishedSpans() };
}

const input = { password: "hunter2", name: "Ada" };
const attempt = (some: Partial<Execution> = {}) => anExecution({ input, ...some });

/** What a worker does with a hook. */
function execute(hooks: Required<Middleware>, execution: Execution, run: (carrier: Carrier) => Promise<Ended>) {
  return within(hooks.attempt(execution) as Hook<Ended>, run);
}

/** What a broker does with one. */
async function dispatch(hooks: Required<Middleware>, sending: Sending, run: (carrier: Carrier) => Promise<void>) {
  let failure: Sent = {};
  await within(hooks.send(sending) as Hook<Sent>, async (carrier) => {
    await run(carrier).catch((error: unknown) => {
      failure = { error };
    });
    return failure;
  });
}

async function within<T>(hook: Hook<T>, run: (carrier: Carrier) => Promise<T>): Promise<void> {
  const running = Promise.withResolvers<T>();
  hook.enter?.(() => running.resolve(run(hook.carrier ?? {})));
  hook.end?.(await running.promise);
}

const succeeded: Ended = { kind: "succeeded", durationMs: 1 };
const send = (queue = "mail") => ({ task: "greet", queue, runs: ["01-run"] });

async function dispatched({ hooks }: ReturnType<typeof recorder>): Promise<Carrier> {
  let carrier: Carrier = {};
  await dispatch(hooks, send(), async (given) => {
    carrier = given;
  });
  return carrier;
}

const one = (spans: readonly ReadableSpan[], name: string) =>
  spans.find((span) => span.name === name) as ReadableSpan & { parentSpanContext?: SpanContext };

test("a dispatch is a producer, its first attempt a consumer in the same trace, and what the handler dispatches is below that", async () => {
  const traced = recorder();
  const carrier = await dispatched(traced);
  await execute(traced.hooks, attempt({ carrier }), async () => {
    await dispatch(traced.hooks, send("other"), async () => {});
    return succeeded;
  });
  const [enqueue, process, child] = ["enqueue mail", "process mail", "enqueue other"].map((name) =>
    one(traced.spans(), name),
  ) as [ReadableSpan, ReadableSpan, ReadableSpan];
  assert.deepEqual([enqueue.kind, process.kind], [SpanKind.PRODUCER, SpanKind.CONSUMER]);
  assert.equal(process.parentSpanContext?.spanId, enqueue.spanContext().spanId);
  assert.equal(child.parentSpanContext?.spanId, process.spanContext().spanId);
  assert.equal(new Set([enqueue, process, child].map((span) => span.spanContext().traceId)).size, 1);
  assert.equal(process.attributes["tasktrail.input"], undefined);
  const {
    "messaging.system": system,
    "messaging.operation.type": type,
    "tasktrail.worker": worker,
  } = process.attributes;
  assert.deepEqual([system, type, worker], ["tasktrail", "process", "w1"]);
});

test("the attempt's own context goes to its events, and is the active one of the handler", async () => {
  const { hooks, spans } = recorder();
  let given: Carrier = {};
  let active: SpanContext | undefined;
  await execute(hooks, attempt(), async (carrier) => {
    given = carrier;
    active = trace.getSpanContext(context.active());
    return succeeded;
  });
  const own = one(spans(), "process mail").spanContext();
  assert.equal(given.traceparent, formatTraceparent(own));
  assert.equal(active?.spanId, own.spanId);
});

const later: [string, Partial<Execution>][] = [
  ["a retry", { attempt: 2 }],
  ["a redelivery", { delivery: 2 }],
  ["a run that was delayed for long", { dueAt: 40_000 }],
  ["a cron run", { schedule: "nightly", slot: 0, trigger: "schedule" }],
  ["a redriven run", { redriveOf: "00-run" }],
  ["a run that was dispatched with others", { isOfMany: true }],
];
for (const [name, some] of later) {
  test(`${name} begins a trace of its own that links to its dispatch, unless another linkage is asked for`, async () => {
    for (const linkage of ["auto", "link", "parent"] as const) {
      const traced = recorder({ linkage });
      const carrier = await dispatched(traced);
      await execute(traced.hooks, attempt({ ...some, carrier }), async () => succeeded);
      const dispatch = one(traced.spans(), "enqueue mail").spanContext();
      const span = one(traced.spans(), "process mail");
      const isChild = span.parentSpanContext?.spanId === dispatch.spanId;
      const isLinked = span.links.some((link) => link.context.spanId === dispatch.spanId);
      assert.deepEqual([isChild, isLinked], linkage === "parent" ? [true, false] : [false, true], linkage);
    }
  });
}

test("linkage link separates even the first attempt", async () => {
  const traced = recorder({ linkage: "link" });
  const carrier = await dispatched(traced);
  await execute(traced.hooks, attempt({ carrier }), async () => succeeded);
  assert.equal(one(traced.spans(), "process mail").parentSpanContext, undefined);
});

test("an attempt links to the one before, and a redelivery to a delivery that could not tell of itself", async () => {
  const traced = recorder();
  const carrier = await dispatched(traced);
  let previous: Carrier = {};
  await execute(traced.hooks, attempt({ carrier }), async (own) => {
    previous = own;
    return { kind: "failed", durationMs: 1, error: new Error("no") };
  });
  await execute(traced.hooks, attempt({ carrier, previous, attempt: 2 }), async () => succeeded);
  await execute(traced.hooks, attempt({ carrier, previous, attempt: 2, delivery: 2 }), async () => succeeded);
  const [first, second, third] = traced.spans().filter(({ name }) => name === "process mail") as [
    ReadableSpan,
    ReadableSpan,
    ReadableSpan,
  ];
  const relations = (span: ReadableSpan) =>
    span.links.map((link) => [link.attributes?.["tasktrail.link"], link.context.spanId]);
  const dispatch = ["dispatch", spanContextOf(carrier)?.spanId];
  const before = ["previous attempt", first.spanContext().spanId];
  assert.deepEqual(relations(second), [dispatch, before]);
  assert.deepEqual(relations(third), [dispatch, before, ["previous delivery", second.spanContext().spanId]]);
  assert.equal(third.links[2]?.context.traceId, second.spanContext().traceId);
  assert.equal(second.spanContext().spanId, idsOfAttempt(attempt({ attempt: 2 })).spanId);
});

test("without our ids nothing is said of deliveries that nobody could name", async () => {
  const { hooks, spans } = recorder({ ids: undefined });
  await execute(hooks, attempt({ delivery: 2 }), async () => succeeded);
  assert.deepEqual(one(spans(), "process mail").links, []);
});

test("failed and dead attempts are errors with type and stack; cancelled and interrupted ones are not", async () => {
  const ends: [Ended["kind"], SpanStatusCode][] = [
    ["failed", SpanStatusCode.ERROR],
    ["died", SpanStatusCode.ERROR],
    ["cancelled", SpanStatusCode.UNSET],
    ["interrupted", SpanStatusCode.UNSET],
    ["succeeded", SpanStatusCode.UNSET],
  ];
  for (const [kind, code] of ends) {
    const { hooks, spans } = recorder();
    await execute(hooks, attempt(), async () => ({ kind, durationMs: 1, error: new TypeError("it broke") }));
    const span = one(spans(), "process mail");
    assert.equal(span.status.code, code, kind);
    assert.equal(span.attributes["tasktrail.outcome"], kind);
    if (code !== SpanStatusCode.ERROR) continue;
    assert.equal(span.attributes["error.type"], "TypeError");
    assert.match(String(span.events[0]?.attributes?.["exception.stacktrace"]), /TypeError: it broke\n +at /);
  }
});

test("a slot that fires is a root of its own, one that was asked for by hand is not", async () => {
  const { hooks, spans, provider } = recorder();
  const cron = { schedule: "nightly", slot: 0, trigger: "schedule" };
  await provider.getTracer("test").startActiveSpan("a request", async (span) => {
    await dispatch(hooks, { ...send(), cron }, async () => {});
    await dispatch(hooks, { ...send(), cron: { ...cron, trigger: "manual" } }, async () => {});
    span.end();
  });
  const fire = one(spans(), "cron fire nightly");
  assert.deepEqual([fire.kind, fire.parentSpanContext], [SpanKind.INTERNAL, undefined]);
  assert.equal(fire.attributes["tasktrail.slot"], "1970-01-01T00:00:00.000Z");
  const asked = one(spans(), "enqueue mail");
  assert.equal(asked.parentSpanContext?.spanId, one(spans(), "a request").spanContext().spanId);
});

test("a dispatch that fails is an error", async () => {
  const { hooks, spans } = recorder();
  const error = Object.assign(new Error("away"), { code: "enqueue_failed" });
  await dispatch(hooks, send(), () => Promise.reject(error));
  const span = one(spans(), "enqueue mail");
  assert.deepEqual([span.status.code, span.attributes["error.type"]], [SpanStatusCode.ERROR, "enqueue_failed"]);
});

test("inputs stand on spans only as the given function shows them", async () => {
  const input = (value: unknown, task: string) => `${task} ${(value as { name: string }).name}`;
  const { hooks, spans } = recorder({ input });
  await execute(hooks, attempt(), async () => succeeded);
  assert.equal(one(spans(), "process mail").attributes["tasktrail.input"], "greet Ada");
  const careless = recorder({
    input() {
      throw new Error("oh");
    },
  });
  await execute(careless.hooks, attempt(), async () => succeeded);
  assert.match(String(one(careless.spans(), "process mail").attributes["tasktrail.input"]), /has thrown/);
});

test("a run that ended without an attempt leaves a span in the trace of its dispatch", async () => {
  const traced = recorder();
  const { traceparent } = await dispatched(traced);
  const event = { type: "run.died", run: "01-run", task: "greet", reason: "expired", at: 5_000, traceparent } as const;
  traced.hooks.notice({ kind: "events.recorded", queue: "mail", events: [event, { ...event, durationMs: 3 }] });
  const spans = traced.spans().filter(({ name }) => name === "process mail");
  assert.equal(spans.length, 1);
  assert.equal(spans[0]?.parentSpanContext?.spanId, spanContextOf({ traceparent })?.spanId);
  assert.deepEqual([spans[0]?.status.code, spans[0]?.attributes["error.type"]], [SpanStatusCode.ERROR, "expired"]);
});

test("a batch that was projected is a span as long as it took", () => {
  const { hooks, spans } = recorder();
  hooks.notice({ kind: "batch.projected", queue: "mail", events: 7, rows: 3, tookMs: 250 });
  const span = one(spans(), "project mail");
  assert.deepEqual([span.attributes["tasktrail.events"], span.attributes["tasktrail.rows"]], [7, 3]);
  assert.equal(Math.round(span.duration[0] * 1e3 + span.duration[1] / 1e6), 250);
});

test("a replay is a span as long as it took, and an error when it could not be", () => {
  const { hooks, spans } = recorder();
  const replayed = {
    kind: "projection.replayed",
    projection: "task_runs",
    mode: "verify",
    events: 7,
    rows: 3,
  } as const;
  hooks.notice({ ...replayed, tookMs: 250 });
  const span = one(spans(), "replay task_runs");
  assert.deepEqual([span.attributes["tasktrail.mode"], span.attributes["tasktrail.rows"]], ["verify", 3]);
  assert.equal(Math.round(span.duration[0] * 1e3 + span.duration[1] / 1e6), 250);
  hooks.notice({ ...replayed, projection: "mine", tookMs: 1, error: new RangeError("no") });
  const failed = one(spans(), "replay mine");
  assert.deepEqual([failed.status.code, failed.attributes["error.type"]], [SpanStatusCode.ERROR, "RangeError"]);
});

test("a traceparent that cannot be one is no parent", () => {
  for (const traceparent of ["", "nonsense", `00-${"0".repeat(32)}-${"a".repeat(16)}-01`, `01-${"a".repeat(32)}`]) {
    assert.equal(spanContextOf({ traceparent }), undefined, traceparent);
  }
  const found = spanContextOf({ traceparent: `00-${"a".repeat(32)}-${"b".repeat(16)}-01`, tracestate: "x=1" });
  assert.deepEqual([found?.traceFlags, found?.traceState?.get("x")], [1, "1"]);
});
