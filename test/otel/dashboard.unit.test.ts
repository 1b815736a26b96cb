import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { PrometheusExporter, PrometheusSerializer } from "@opentelemetry/exporter-prometheus";
import { DataPointType, MeterProvider, type MetricData } from "@opentelemetry/sdk-metrics";
import { BatchSpanProcessor, InMemorySpanExporter, TracerProvider } from "@opentelemetry/sdk-trace";
import { METRICS } from "../../otel/attributes.ts";
import { openBook } from "../../otel/book.ts";
import { measure } from "../../otel/gauges.ts";
import { metering } from "../../otel/metrics.ts";
import type { Notice } from "../../src/middleware.ts";

const dashboard = JSON.parse(readFileSync(new URL("../../otel/grafana/tasktrail.json", import.meta.url), "utf8")) as {
  readonly panels: readonly { readonly title: string; readonly targets: readonly { readonly expr: string }[] }[];
};

/** All that there is to measure, once. */
async function everything() {
  const book = openBook();
  const reader = new PrometheusExporter({ preventServerStart: true, metricProducers: [book.producer()] });
  const provider = new MeterProvider({ readers: [reader], sdkMetricsEnabled: true });
  const hooks = metering({ instruments: book.instruments });
  const of = { run: "01", task: "greet", queue: "mail", attempt: 1, delivery: 1, worker: "w", durationMs: 5 };
  const types = ["enqueued", "started", "failed", "succeeded"].map((name) => `run.${name}`);
  const events = types.map((type) => ({ type, ...of, waitedMs: 5, error: { type: "TypeError" } }));
  const notices = [
    { kind: "events.recorded", queue: "mail", events },
    { kind: "entries.reclaimed", worker: "w", queue: "mail", count: 1 },
    { kind: "lease.lost", worker: "w", queue: "mail", runs: [] },
    { kind: "run.refused", run: "01", task: "greet", why: "late" },
    { kind: "slot.fired", schedule: "nightly", slot: 0, lateMs: 20 },
    { kind: "slot.missed", schedule: "nightly", slot: 0, lateMs: 20, count: 1 },
    { kind: "batch.projected", queue: "mail", events: 7, rows: 2, tookMs: 10, lagMs: 20 },
  ] as unknown as readonly Notice[];
  for (const notice of notices) hooks.notice?.(notice);
  hooks.send?.({ task: "greet", queue: "mail", runs: ["01"] })?.end?.({});
  const lane = { queue: "mail", backlog: 5, pending: 2, scheduled: 1, dead: 0, workers: 1 };
  using _gauges = measure({ provider, lanes: async () => [{ ...lane, oldestWaitMs: 5, leaseLeftMs: 5 }] });
  await dropSpans(provider);
  for (;;) {
    await turn();
    const { resourceMetrics } = await reader.collect();
    const metrics = resourceMetrics.scopeMetrics.flatMap((scope) => scope.metrics);
    const isThere = (name: string) =>
      metrics.some(({ descriptor, dataPoints }) => descriptor.name === name && dataPoints.length > 0);
    // The event loop's delay is sampled every 10 ms, and left out before the first time.
    if (isThere(`${METRICS.loopDelay}.p99`))
      return { metrics, text: new PrometheusSerializer().serialize(resourceMetrics) };
  }
}

/** Ends more spans than a queue can hold. */
async function dropSpans(selfObsMeterProvider: MeterProvider): Promise<void> {
  const exporter = new InMemorySpanExporter();
  const processor = new BatchSpanProcessor({ exporter, selfObsMeterProvider, maxQueueSize: 1, maxExportBatchSize: 1 });
  const provider = new TracerProvider({ spanProcessors: [processor] });
  for (let count = 0; count < 5; count += 1) provider.getTracer("test").startSpan("one of many").end();
  await provider.shutdown();
}

/** What a collector's Prometheus exporter calls a metric: it writes out the unit, and `total` behind what is counted. */
function collectorNames({ descriptor, dataPointType, ...metric }: MetricData): string[] {
  const unit = descriptor.unit === "s" ? "_seconds" : "";
  const name = descriptor.name.replaceAll(".", "_") + unit;
  if (dataPointType === DataPointType.HISTOGRAM) return [`${name}_bucket`, `${name}_sum`, `${name}_count`];
  return ["isMonotonic" in metric && metric.isMonotonic ? `${name}_total` : name];
}

/** The metrics that an expression asks for: by a name, or by what a name matches. */
function asked(expression: string): RegExp[] {
  const bare = expression.replaceAll(/"[^"]*"/g, '""').match(/\b(messaging|tasktrail|nodejs|otel)_\w+(?=[[{])/g) ?? [];
  const matched = [...expression.matchAll(/__name__=~"([^"]+)"/g)].map(([, pattern]) => pattern as string);
  return [...bare, ...matched].map((pattern) => new RegExp(`^${pattern}$`));
}

test("each metric that the dashboard asks for is on the Prometheus endpoint, and behind a collector", async () => {
  const { metrics, text } = await everything();
  const direct = [...new Set([...text.matchAll(/^(\w+)\{/gm)].map(([, name]) => name as string))];
  const collected = metrics.flatMap(collectorNames);
  for (const { title, targets } of dashboard.panels) {
    for (const { expr } of targets) {
      const patterns = asked(expr);
      assert.ok(patterns.length > 0, `${title}: nothing is asked for in ${expr}`);
      for (const pattern of patterns) {
        assert.ok(
          direct.some((name) => pattern.test(name)),
          `${title}: the endpoint has no ${pattern}\n${direct.join("\n")}`,
        );
        assert.ok(
          collected.some((name) => pattern.test(name)),
          `${title}: a collector has no ${pattern}`,
        );
      }
    }
  }
});

test("each label that the dashboard asks for stands on its metrics, and each metric of ours is there", async () => {
  const { metrics, text } = await everything();
  const labels = new Set([...text.matchAll(/(\w+)="/g)].map(([, label]) => label));
  const expressions = dashboard.panels.flatMap(({ targets }) => targets.map(({ expr }) => expr)).join("\n");
  for (const [, list] of expressions.matchAll(/by \(([^)]*)\)/g))
    for (const label of String(list).split(", "))
      assert.ok(["le", "service_instance_id"].includes(label) || labels.has(label), label);
  assert.match(text, /otel_sdk_processor_span_processed_total\{.*error_type="queue_full"/);
  const names = metrics.map(({ descriptor }) => descriptor.name);
  for (const name of Object.values(METRICS))
    assert.ok(
      names.some((one) => one.startsWith(name)),
      name,
    );
});
