import {
  ConsoleMetricExporter,
  type MetricProducer,
  type MetricReader,
  PeriodicExportingMetricReader,
  type PushMetricExporter,
} from "@opentelemetry/sdk-metrics";

type Environment = Readonly<Record<string, string | undefined>>;

/** Gives a reader's own producer of metrics, for sums since the beginning or, `isDelta`, since it asked last. */
export type MakeProducer = (options: { readonly isDelta: boolean }) => MetricProducer;

/**
 * The readers that `OTEL_METRICS_EXPORTER` names (`otlp`, `prometheus`, `console`, `none`, several with commas; default `otlp`), with what
 * the SDK's own readers cannot be given: a producer beside its instruments. None when there is nothing to read for.
 */
export async function openReaders(env: Environment, makeProducer: MakeProducer): Promise<MetricReader[]> {
  const names = new Set(listOf(env.OTEL_METRICS_EXPORTER || "otlp"));
  if (names.has("none")) return [];
  const readers = [...names].map((name) => OPEN[name]?.(env, makeProducer));
  return (await Promise.all(readers)).filter((one) => one !== undefined);
}

const OPEN: Readonly<Record<string, (env: Environment, make: MakeProducer) => Promise<MetricReader>>> = {
  otlp: async (env, make) => periodic(await otlpExporter(env), env, make({ isDelta: wantsDelta(env) })),
  console: async (env, make) => periodic(new ConsoleMetricExporter(), env, make({ isDelta: false })),
  async prometheus(env, make) {
    const { PrometheusExporter } = await import("@opentelemetry/exporter-prometheus");
    const port = numberOf(env.OTEL_EXPORTER_PROMETHEUS_PORT);
    return new PrometheusExporter({
      host: env.OTEL_EXPORTER_PROMETHEUS_HOST || "localhost",
      ...(port === undefined ? {} : { port }),
      metricProducers: [make({ isDelta: false })],
    });
  },
};

/** The names that are not known, for whoever is to be told. */
export function unknownReaders(env: Environment): string[] {
  return listOf(env.OTEL_METRICS_EXPORTER ?? "").filter((name) => name !== "none" && OPEN[name] === undefined);
}

function listOf(text: string): string[] {
  return text
    .split(",")
    .map((name) => name.trim())
    .filter((name) => name !== "");
}

const INTERVAL_MS = 60_000;
const TIMEOUT_MS = 30_000;

function periodic(exporter: PushMetricExporter, env: Environment, producer: MetricProducer): MetricReader {
  const exportIntervalMillis = numberOf(env.OTEL_METRIC_EXPORT_INTERVAL) ?? INTERVAL_MS;
  const timeoutMs = numberOf(env.OTEL_METRIC_EXPORT_TIMEOUT) ?? TIMEOUT_MS;
  return new PeriodicExportingMetricReader({
    exporter,
    exportIntervalMillis,
    exportTimeoutMillis: Math.min(timeoutMs, exportIntervalMillis),
    metricProducers: [producer],
  });
}

async function otlpExporter(env: Environment): Promise<PushMetricExporter> {
  const protocol = env.OTEL_EXPORTER_OTLP_METRICS_PROTOCOL || env.OTEL_EXPORTER_OTLP_PROTOCOL;
  const { OTLPMetricExporter } = await loadExporter(protocol?.trim() ?? "");
  return new OTLPMetricExporter();
}

function loadExporter(protocol: string) {
  if (protocol === "grpc") return import("@opentelemetry/exporter-metrics-otlp-grpc");
  if (protocol === "http/json") return import("@opentelemetry/exporter-metrics-otlp-http");
  return import("@opentelemetry/exporter-metrics-otlp-proto");
}

function wantsDelta(env: Environment): boolean {
  const wanted = env.OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE?.trim().toLowerCase();
  return wanted === "delta" || wanted === "lowmemory";
}

function numberOf(text: string | undefined): number | undefined {
  const number = text === undefined || text.trim() === "" ? Number.NaN : Number(text);
  return number > 0 ? number : undefined;
}
