import { type Middleware, processMiddleware } from "../src/middleware.ts";
import { attachToSdk, listenToSdk } from "./complaints.ts";
import { type LaneReading, measure } from "./gauges.ts";
import { createChosenIds } from "./ids.ts";
import { logging } from "./logs.ts";
import { metering } from "./metrics.ts";
import { type TracingOptions, tracing } from "./tracing.ts";

/** Telemetry that runs. */
export interface Telemetry extends AsyncDisposable {
  /** Sends what has not been sent, for at most `graceMs`. Does not reject: what could not be sent is reported. */
  shutdown(): Promise<void>;
  /** Spans that the SDK said it has thrown away because its queue was full. */
  droppedCount(): number;
}

/** How telemetry is started. */
export interface TelemetryOptions extends Omit<TracingOptions, "provider" | "ids" | "isKept" | "contexts"> {
  /** Reads how queues stand, whenever metrics are collected. */
  readonly lanes?: (() => Promise<readonly LaneReading[]>) | undefined;
  /** Hears, in a line, what could not be sent. Default: a warning of the process. */
  readonly report?: ((line: string) => void) | undefined;
  /** How long the last spans may take to be sent, in ms. Default 3,000. */
  readonly graceMs?: number | undefined;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** True when the standard variables ask for telemetry: an `OTEL_EXPORTER_OTLP_*ENDPOINT`, or an exporter of traces, metrics or logs other than `none`. */
export function isTelemetryAsked(env: Environment = process.env): boolean {
  if (env.OTEL_SDK_DISABLED === "true") return false;
  return (["TRACES", "METRICS", "LOGS"] as const).some((signal) => isAsked(signal, env));
}

/** A log goes where it went before, and elsewhere only when that is said of the log itself. */
function isAsked(signal: "TRACES" | "METRICS" | "LOGS", env: Environment): boolean {
  const exporter = env[`OTEL_${signal}_EXPORTER`];
  if (exporter) return exporter !== "none";
  const isForAll = signal !== "LOGS" && Boolean(env.OTEL_EXPORTER_OTLP_ENDPOINT);
  return isForAll || Boolean(env[`OTEL_EXPORTER_OTLP_${signal}_ENDPOINT`]);
}

/**
 * Starts the OpenTelemetry SDK, which reads the standard `OTEL_*` variables, and hangs spans and metrics on every broker of the process.
 * The SDK is loaded by this call and not before: a process that traces nothing does not pay for it. Started twice, it starts once.
 */
export async function startTelemetry(options: TelemetryOptions = {}): Promise<Telemetry> {
  if (processMiddleware().some(({ name }) => name === "tasktrail.tracing")) return idle;
  setDefaults(process.env);
  const report = options.report ?? ((line) => process.emitWarning(line, { type: "Telemetry" }));
  const complaints = listenToSdk(report);
  const { NodeSDK } = await import("@opentelemetry/sdk-node");
  const { samplingOf } = await import("./sampling.ts");
  const { createRunContexts } = await import("./contexts.ts");
  const { openBook } = await import("./book.ts");
  const { openReaders } = await import("./readers.ts");
  attachToSdk(complaints, process.env);
  const ids = createChosenIds();
  const sampling = samplingOf(process.env);
  const book = openBook();
  const metricReaders = await openReaders(process.env, book.producer);
  const sampler = sampling === undefined ? {} : { sampler: sampling.sampler };
  const contexts = createRunContexts();
  const contextManager = contexts.manager;
  const sdk = new NodeSDK({ instrumentations: [], idGenerator: ids, metricReaders, contextManager, ...sampler });
  sdk.start();
  const gauges = measure({ lanes: options.lanes });
  const hung: Middleware[] = [];
  if (process.env.OTEL_TRACES_EXPORTER !== "none")
    hung.push(
      tracing({ propagateBaggage: isBaggageAsked(process.env), ...options, ids, isKept: sampling?.isKept, contexts }),
    );
  if (metricReaders.length > 0) hung.push(metering({ instruments: book.instruments }));
  if (process.env.OTEL_LOGS_EXPORTER !== "none") hung.push(logging());
  processMiddleware().push(...hung);
  let ending: Promise<void> | undefined;
  const shutdown = () => {
    ending ??= end({ sdk, graceMs: options.graceMs ?? 3_000, report }).finally(() => {
      gauges[Symbol.dispose]();
      const all = processMiddleware();
      for (const one of hung) if (all.includes(one)) all.splice(all.indexOf(one), 1);
    });
    return ending;
  };
  return { shutdown, droppedCount: complaints.droppedCount, [Symbol.asyncDispose]: shutdown };
}

/** What a second start gives: the first one ends it all. */
const idle: Telemetry = { shutdown: async () => {}, droppedCount: () => 0, [Symbol.asyncDispose]: async () => {} };

/** The SDK propagates baggage by default; here, where it is kept in a queue, it has to be named. */
function isBaggageAsked(env: Environment): boolean {
  return env.OTEL_PROPAGATORS?.split(",").some((name) => name.trim() === "baggage") ?? false;
}

function setDefaults(env: NodeJS.ProcessEnv): void {
  env.OTEL_SERVICE_NAME ??= "tasktrail";
  // The SDK's own queue of 2,048 spans lasts a fifth of a second at ten thousand runs a second, and what does not fit is dropped.
  env.OTEL_BSP_MAX_QUEUE_SIZE ??= "16384";
  env.OTEL_BSP_MAX_EXPORT_BATCH_SIZE ??= "2048";
  env.OTEL_BSP_SCHEDULE_DELAY ??= "1000";
  // The SDK counts what it drops, but only when it is asked to: otel.sdk.processor.span.processed, error.type queue_full.
  env.OTEL_NODE_EXPERIMENTAL_SDK_METRICS ??= "true";
  // Each may be asked for alone, as traces are with a Jaeger: it has no place for anything else.
  for (const signal of ["TRACES", "METRICS", "LOGS"] as const)
    if (!isAsked(signal, env)) env[`OTEL_${signal}_EXPORTER`] = "none";
}

interface Ending {
  readonly sdk: { shutdown(): Promise<void> };
  readonly graceMs: number;
  readonly report: (line: string) => void;
}

async function end({ sdk, graceMs, report }: Ending): Promise<void> {
  const late = Promise.withResolvers<"late">();
  const timer = setTimeout(() => late.resolve("late"), graceMs);
  try {
    const ended = await Promise.race([sdk.shutdown(), late.promise]);
    if (ended === "late") report(`telemetry: the last spans could not be sent within ${graceMs} ms, and are lost`);
  } catch (error) {
    report(`telemetry: the last of it could not be sent: ${error instanceof Error ? error.message : String(error)}`);
  } finally {
    clearTimeout(timer);
  }
}
