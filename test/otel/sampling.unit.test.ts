import assert from "node:assert/strict";
import { test } from "node:test";
import { type Context, context, ProxyTracer, ROOT_CONTEXT, SpanKind, TraceFlags, trace } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import { InMemorySpanExporter, SamplingDecision, SimpleSpanProcessor, TracerProvider } from "@opentelemetry/sdk-trace";
import { createRunContexts, type RunContexts } from "../../otel/contexts.ts";
import { createChosenIds } from "../../otel/ids.ts";
import { spanContextOf } from "../../otel/propagation.ts";
import { samplingOf } from "../../otel/sampling.ts";
import { tracing } from "../../otel/tracing.ts";
import { besideRun } from "../../src/left-out.ts";
import type { Execution, Middleware } from "../../src/middleware.ts";
import { createRunIds } from "../../streams/ids.ts";
import { idsOfAttempt, idsOfDispatch, OF_DISPATCH } from "../../streams/trace-ids.ts";
import { anExecution } from "./an-execution.ts";

context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());

/** Hooks that foresee what a sampler says, on a provider with that sampler. */
function sampled(env: Readonly<Record<string, string>>, contexts?: RunContexts) {
  const sampling = samplingOf(env);
  assert.ok(sampling !== undefined);
  const exporter = new InMemorySpanExporter();
  const ids = createChosenIds();
  const spanProcessors = [new SimpleSpanProcessor({ exporter })];
  const provider = new TracerProvider({ spanProcessors, idGenerator: ids, sampler: sampling.sampler });
  const hooks = tracing({ provider, ids, isKept: sampling.isKept, contexts }) as Required<Middleware>;
  return { hooks, provider, ids, spans: () => exporter.getFinishedSpans() };
}

const newRun = createRunIds("mail");
const run = newRun(0);
const never = { OTEL_TRACES_SAMPLER: "parentbased_traceidratio", OTEL_TRACES_SAMPLER_ARG: "0" };

const attempt = (some: Partial<Execution> = {}) => anExecution({ run, ...some });

test("what a dispatch that is left out does, its runs and what their handlers do are left out with it, in one trace", () => {
  const { hooks, provider, spans } = sampled(never);
  const own = provider.getTracer("of a handler");
  const sending = { task: "greet", queue: "mail", runs: [run] };
  const dispatch = hooks.send(sending);
  dispatch?.enter?.(() => own.startSpan("a command").end());
  const ids = idsOfDispatch(run);
  assert.equal(dispatch?.carrier?.traceparent, `00-${ids.traceId}-${ids.spanId}-00`);
  assert.equal(besideRun(dispatch?.carrier ?? {}, run), OF_DISPATCH);
  const hook = hooks.attempt(attempt({ carrier: dispatch?.carrier ?? {} }));
  assert.equal(hook?.carrier, undefined); // that of the dispatch stands on its events
  let child: string | undefined;
  hook?.enter?.(() => {
    assert.equal(trace.getSpanContext(context.active())?.traceId, ids.traceId);
    own.startSpan("a query").end();
    child = hooks.send({ ...sending, runs: [newRun(0)] })?.carrier?.traceparent;
  });
  hook?.end?.({ kind: "failed", durationMs: 1, error: new Error("no") });
  assert.deepEqual([spanContextOf({ traceparent: child })?.traceId, child?.slice(-2)], [ids.traceId, "00"]);
  assert.deepEqual(spans(), []);
});

test("an attempt that is left out of a trace of its own has the ids of a rebuilt one", () => {
  const { hooks, spans } = sampled(never);
  const { traceId, spanId } = idsOfAttempt(attempt({ attempt: 2 }));
  const hook = hooks.attempt(attempt({ attempt: 2 }));
  assert.equal(hook?.carrier?.traceparent, `00-${traceId}-${spanId}-00`);
  hook?.enter?.(() => assert.equal(trace.getSpanContext(context.active())?.traceId, traceId));
  assert.deepEqual(spans(), []);
});

test("of an attempt that an application's own SDK leaves out nobody waits for the end, and its context is active all the same", () => {
  const { provider, spans } = sampled(never);
  const hooks = tracing({ provider }) as Required<Middleware>;
  const traceparent = `00-${"a".repeat(32)}-${"b".repeat(16)}-00`;
  const hook = hooks.attempt(attempt({ carrier: { traceparent } }));
  assert.deepEqual(Object.keys(hook ?? {}), ["carrier", "enter"]);
  hook?.enter?.(() => assert.equal(trace.getSpanContext(context.active())?.traceId, "a".repeat(32)));
  const kept = hooks.attempt(attempt({ carrier: { traceparent: traceparent.replace(/00$/, "01") } }));
  kept?.end?.({ kind: "succeeded", durationMs: 1 });
  assert.equal(spans().length, 1);
});

test("a dispatch that was sampled has its attempts sampled, whatever the ratio is here", () => {
  const { hooks, spans } = sampled(never);
  const traceparent = `00-${"a".repeat(32)}-${"b".repeat(16)}-01`;
  const hook = hooks.attempt(attempt({ carrier: { traceparent } }));
  hook?.enter?.(() => {});
  hook?.end?.({ kind: "succeeded", durationMs: 1 });
  assert.deepEqual(
    spans().map((span) => [span.spanContext().traceId, span.kind]),
    [["a".repeat(32), SpanKind.CONSUMER]],
  );
});

test("what is foreseen is what the sampler says, for each sampler that can be named", () => {
  const parents = [undefined, TraceFlags.NONE, TraceFlags.SAMPLED].map((traceFlags) =>
    traceFlags === undefined ? {} : { traceparent: `00-${"a".repeat(32)}-${"b".repeat(16)}-0${traceFlags}` },
  );
  const bases = ["always_on", "always_off", "traceidratio"];
  for (const name of ["", ...bases, ...bases.map((base) => `parentbased_${base}`)]) {
    const env = { OTEL_TRACES_SAMPLER: name, OTEL_TRACES_SAMPLER_ARG: "0.3" };
    const { hooks, provider, ids, spans } = sampled(env);
    const plain = tracing({ provider, ids }) as Required<Middleware>;
    let rootCount = 0;
    for (let index = 0; index < 300; index += 1) {
      const execution = attempt({ run: newRun(index), carrier: parents[index % 3] ?? {} });
      const before = spans().length;
      for (const one of [hooks, plain]) one.attempt(execution)?.end?.({ kind: "succeeded", durationMs: 1 });
      const count = spans().length - before;
      assert.ok(count === 0 || count === 2, `${name} ${JSON.stringify(execution.carrier)}: ${count}`);
      if (index % 3 === 0) rootCount += count / 2;
    }
    if (name.endsWith("traceidratio")) assert.ok(rootCount > 8 && rootCount < 60, `${name}: ${rootCount} of 100`);
  }
});

test("what the SDK has to complain of is left to the SDK", () => {
  assert.equal(samplingOf({ OTEL_TRACES_SAMPLER: "sometimes" }), undefined);
  assert.equal(samplingOf({ OTEL_TRACES_SAMPLER: "traceidratio" }), undefined);
  assert.equal(samplingOf({ OTEL_TRACES_SAMPLER: "traceidratio", OTEL_TRACES_SAMPLER_ARG: "7" }), undefined);
});

test("where the context manager is ours, no attempt is entered: it says what is active, if it is more than its dispatch's carrier", () => {
  const { hooks } = sampled(never, createRunContexts());
  const { traceId, spanId } = idsOfAttempt(attempt({ isOfMany: true }));
  const [left, kept] = ["00", "01"].map((flags) => `00-${"a".repeat(32)}-${"b".repeat(16)}-${flags}`);
  assert.equal(hooks.attempt(attempt({ carrier: { traceparent: left } })), undefined);
  const { carrier, ...rest } = hooks.attempt(attempt({ isOfMany: true })) ?? {};
  assert.equal(carrier?.traceparent, `00-${traceId}-${spanId}-00`);
  assert.deepEqual(rest, {});
  const { context: active, enter } = hooks.attempt(attempt({ carrier: { traceparent: kept } })) ?? {};
  assert.equal(enter, undefined);
  assert.equal(trace.getSpanContext(active as Context)?.traceId, "a".repeat(32));
});

test("without an SDK nobody listens, and nothing is asked", () => {
  assert.ok(trace.getTracer("any") instanceof ProxyTracer);
  assert.equal(tracing().isIdle?.(), true);
  assert.equal(sampled(never).hooks.isIdle(), false);
});

test("a small ratio is foreseen as the sampler decides, of an id and of what it follows from", () => {
  for (const ratio of ["0.002", "0.01", "0.5", "1"]) {
    const sampling = samplingOf({ OTEL_TRACES_SAMPLER: "traceidratio", OTEL_TRACES_SAMPLER_ARG: ratio });
    assert.ok(sampling !== undefined);
    let keptCount = 0;
    for (let index = 0; index < 4_000; index += 1) {
      const key = { run: newRun(index), attempt: 1 + (index % 70_000), delivery: 1 + (index % 3) };
      const { traceId } = idsOfAttempt(key);
      const said: { readonly decision: SamplingDecision } = sampling.sampler.shouldSample(
        ROOT_CONTEXT,
        traceId,
        "",
        SpanKind.CONSUMER,
        {},
        [],
      );
      const isKept: boolean = said.decision === SamplingDecision.RECORD_AND_SAMPLED;
      assert.deepEqual([sampling.isKept(undefined, key), sampling.isKept(undefined, traceId)], [isKept, isKept]);
      if (isKept) keptCount += 1;
    }
    assert.ok(keptCount > 0, ratio);
  }
});
