import assert from "node:assert/strict";
import { test } from "node:test";
import {
  AggregationTemporality,
  DataPointType,
  type Histogram,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from "@opentelemetry/sdk-metrics";
import { METRICS } from "../../otel/attributes.ts";
import { measure } from "../../otel/gauges.ts";
import { metering } from "../../otel/metrics.ts";
import type { Middleware, Notice } from "../../src/middleware.ts";

function meter() {
  const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 });
  const provider = new MeterProvider({ readers: [reader] });
  const collect = async () => {
    await provider.forceFlush();
    const all =
      exporter
        .getMetrics()
        .at(-1)
        ?.scopeMetrics.flatMap(({ metrics }) => metrics) ?? [];
    return (name: string) => {
      const metric = all.find(({ descriptor }) => descriptor.name === name);
      const unit = metric?.descriptor.unit;
      const points = (metric?.dataPoints ?? []).map(({ attributes, value }) => ({
        attributes,
        value:
          metric?.dataPointType === DataPointType.HISTOGRAM ? ((value as Histogram).sum as number) : (value as number),
        count: (value as Histogram).count as number | undefined,
      }));
      return { unit, points };
    };
  };
  return { provider, hooks: metering({ provider }) as Required<Middleware>, collect };
}

const of = { run: "01", task: "greet", queue: "mail", attempt: 1, delivery: 1, worker: "w" };
const error = { type: "TypeError", message: "no", fingerprint: "f" };
const recorded = (...events: unknown[]): Notice => ({
  kind: "events.recorded",
  queue: "mail",
  events: events as never,
});

test("starts and successes count the same as events and without being made into any", async () => {
  const made = meter();
  const plain = meter();
  const start = { type: "run.started", ...of, waitedMs: 1_500 };
  const success = { type: "run.succeeded", ...of, durationMs: 20 };
  made.hooks.notice(recorded(start, success, success, start));
  plain.hooks.notice({
    kind: "events.recorded",
    queue: "mail",
    isPlain: true,
    get events(): never {
      throw new Error("nobody asked for them");
    },
    eachPlain(tell) {
      tell("greet", 1_500, 20);
      tell("greet", undefined, 20);
      tell("greet", 1_500, undefined);
    },
  });
  const [expected, found] = [await made.collect(), await plain.collect()];
  for (const name of [
    "messaging.client.consumed.messages",
    "tasktrail.queue.wait.duration",
    "messaging.process.duration",
    METRICS.ended,
  ]) {
    assert.notEqual(expected(name).points.length, 0, name);
    assert.deepEqual(found(name).points, expected(name).points);
  }
});

test("events are counted and timed in seconds, by queue, task, outcome and error type alone", async () => {
  const { hooks, collect } = meter();
  hooks.notice(recorded({ type: "run.enqueued", ...of }, { type: "run.started", ...of, waitedMs: 1_500 }));
  hooks.notice(recorded({ type: "run.failed", ...of, error, durationMs: 500, retryAt: 1 }));
  hooks.notice(recorded({ type: "run.died", ...of, error, reason: "attempts", durationMs: 250 }));
  hooks.notice(recorded({ type: "run.skipped", ...of, reason: "overlap_lock_held" }));
  const found = await collect();
  const base = {
    "messaging.system": "tasktrail",
    "messaging.destination.name": "mail",
    "tasktrail.task.name": "greet",
  };
  const processed = {
    ...base,
    "messaging.operation.name": "process",
    "messaging.operation.type": "process",
    "messaging.consumer.group.name": "workers",
  };
  const sent = { ...base, "messaging.operation.name": "enqueue", "messaging.operation.type": "send" };
  assert.deepEqual(found("messaging.client.sent.messages").points, [{ attributes: sent, value: 1, count: undefined }]);
  assert.deepEqual(found("messaging.client.consumed.messages").points[0]?.attributes, processed);
  const wait = found("tasktrail.queue.wait.duration");
  assert.deepEqual([wait.unit, wait.points], ["s", [{ attributes: processed, value: 1.5, count: 1 }]]);
  assert.deepEqual(
    found("messaging.process.duration").points.map(({ attributes, value }) => [
      attributes["tasktrail.outcome"],
      attributes["error.type"],
      value,
    ]),
    [
      ["failed", "TypeError", 0.5],
      ["died", "TypeError", 0.25],
    ],
  );
  assert.equal(found("tasktrail.retries").points[0]?.value, 1);
  const ended = found("tasktrail.runs.ended").points.map(({ attributes }) => attributes["tasktrail.outcome"]);
  assert.deepEqual(ended, ["died", "skipped"]);
});

test("notices are counted: redeliveries, lateness, misses, batches, leases", async () => {
  const { hooks, collect } = meter();
  hooks.notice({ kind: "entries.reclaimed", worker: "w", queue: "mail", count: 3 });
  hooks.notice({ kind: "lease.lost", worker: "w", queue: "mail", runs: [] });
  hooks.notice({ kind: "slot.fired", schedule: "nightly", slot: 0, lateMs: 20 });
  hooks.notice({ kind: "slot.missed", schedule: "nightly", slot: 0, lateMs: 20, count: 4 });
  hooks.notice({ kind: "batch.projected", queue: "mail", events: 7, rows: 2, tookMs: 10, lagMs: 2_000 });
  const found = await collect();
  const value = (name: string) => found(name).points[0]?.value;
  assert.deepEqual(
    ["redelivered", "leases.lost", "cron.lateness", "cron.missed", "projection.events", "projection.lag"].map((name) =>
      value(`tasktrail.${name}`),
    ),
    [3, 1, 0.02, 4, 7, 2],
  );
  assert.equal(found("tasktrail.redelivered").points[0]?.attributes["tasktrail.how"], "reclaimed");
});

test("dispatches are timed, failed ones with what failed", async () => {
  const { hooks, collect } = meter();
  const sending = { task: "greet", queue: "mail", runs: ["01"] };
  hooks.send(sending)?.end?.({});
  hooks.send(sending)?.end?.({ error: Object.assign(new Error("away"), { code: "enqueue_failed" }) });
  const { points } = (await collect())("messaging.client.operation.duration");
  assert.deepEqual(
    points.map(({ attributes }) => attributes["error.type"]),
    [undefined, "enqueue_failed"],
  );
});

test("names that strangers choose do not make endless series", async () => {
  const { hooks, collect } = meter();
  for (let i = 0; i < 1_000; i += 1) hooks.notice(recorded({ type: "run.enqueued", ...of, task: `task-${i}` }));
  const { points } = (await collect())("messaging.client.sent.messages");
  assert.equal(points.length, 201);
  assert.equal(points.find(({ attributes }) => attributes["tasktrail.task.name"] === "other")?.value, 800);
});

test("lanes and the event loop are looked at when metrics are collected", async () => {
  const { provider, collect } = meter();
  const lane = { queue: "mail", backlog: 5, pending: 2, scheduled: 1, dead: 0, workers: 1 };
  using _gauges = measure({
    provider,
    lanes: async () => [{ ...lane, oldestWaitMs: 2_500, leaseLeftMs: undefined }],
  });
  const delayOf = (all: typeof found) => all("nodejs.eventloop.delay.p99").points[0]?.value ?? 0;
  let found = await collect();
  while (delayOf(found) === 0) found = await collect(); // it is sampled every 10 ms, and left out before the first time
  assert.deepEqual(found("tasktrail.queue.backlog").points[0]?.value, 5);
  assert.deepEqual(found("tasktrail.queue.oldest_wait").points[0]?.value, 2.5);
  assert.deepEqual(found("tasktrail.lease.left").points, []);
  assert.equal(found("nodejs.eventloop.delay.p99").unit, "s");
});
