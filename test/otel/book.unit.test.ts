import assert from "node:assert/strict";
import { test } from "node:test";
import {
  AggregationTemporality,
  DataPointType,
  type Histogram,
  InMemoryMetricExporter,
  MeterProvider,
  type MetricProducer,
  PeriodicExportingMetricReader,
} from "@opentelemetry/sdk-metrics";
import { openBook } from "../../otel/book.ts";
import { instrumentsOf } from "../../otel/instruments.ts";

const values = [0.0004, 0.001, 0.003, 0.005, 0.2, 12, 4_000];

/** What a reader with this producer hands to its exporter, by metric. */
async function exported(provider: MeterProvider, exporter: InMemoryMetricExporter) {
  await provider.forceFlush();
  const all =
    exporter
      .getMetrics()
      .at(-1)
      ?.scopeMetrics.flatMap(({ metrics }) => metrics) ?? [];
  return new Map(all.map((metric) => [metric.descriptor.name, metric]));
}

function readerOf(producer?: MetricProducer) {
  const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
  const metricProducers = producer === undefined ? [] : [producer];
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000, metricProducers });
  return { exporter, provider: new MeterProvider({ readers: [reader] }) };
}

test("a book says what the SDK's own instruments say", async () => {
  const book = openBook();
  const kept = readerOf(book.producer());
  const asked = readerOf();
  for (const made of [book.instruments, instrumentsOf(asked.provider.getMeter("tasktrail"))]) {
    const [count, time] = [made.counter("runs", "{run}"), made.timer("wait")];
    const [mail, web] = [{ queue: "mail" }, { queue: "web" }];
    for (const value of values) time(value, mail);
    time(0.01, web);
    count(2, mail);
    count(3, mail);
    count(1, web);
    made.flush();
  }
  const [one, other] = await Promise.all([kept, asked].map(({ provider, exporter }) => exported(provider, exporter)));
  for (const name of ["runs", "wait"]) {
    const [mine, theirs] = [one?.get(name), other?.get(name)];
    const points = [mine, theirs].map((metric) =>
      metric?.dataPoints.map(({ attributes, value }) => ({ attributes, value })),
    );
    assert.deepEqual(points[0], points[1], name);
    const { aggregationTemporality, dataPointType, descriptor } = mine ?? {};
    assert.deepEqual(
      [aggregationTemporality, dataPointType, descriptor?.unit],
      [theirs?.aggregationTemporality, theirs?.dataPointType, theirs?.descriptor.unit],
    );
  }
  const wait = one?.get("wait")?.dataPoints[0]?.value as Histogram;
  assert.deepEqual([wait.count, wait.min, wait.max], [values.length, 0.0004, 4_000]);
});

test("a reader that wants differences is told what came since it asked, beside one that wants sums", async () => {
  let now = 1_000;
  const book = openBook(() => now);
  const [count, time] = [book.instruments.counter("runs", "{run}"), book.instruments.timer("wait")];
  const [sums, differences] = [book.producer(), book.producer({ isDelta: true })];
  const attributes = { queue: "mail" };
  const read = async (producer: MetricProducer) => {
    const { resourceMetrics } = await producer.collect();
    return resourceMetrics.scopeMetrics[0]?.metrics.map(({ dataPointType, dataPoints: [point] }) =>
      dataPointType === DataPointType.HISTOGRAM
        ? (point?.value as Histogram | undefined)?.count
        : [point?.value, point?.startTime[0]],
    );
  };
  count(5, attributes);
  time(0.1, attributes);
  now = 2_000;
  assert.deepEqual(await Promise.all([sums, differences].map(read)), [
    [[5, 1], 1],
    [[5, 1], 1],
  ]);
  count(2, attributes);
  now = 3_000;
  assert.deepEqual(await Promise.all([sums, differences].map(read)), [[[7, 1], 1], [[2, 2]]]);
});
