import { processMiddleware } from "../src/middleware.ts";
import { type TracingOptions, tracing } from "./tracing.ts";

/** Telemetry that runs. */
export interface Telemetry extends AsyncDisposable {
  /** Sends what has not been sent, within the SDK's own timeout. */
  shutdown(): Promise<void>;
}

/** True when the standard variables name an exporter: an `OTEL_EXPORTER_OTLP_*ENDPOINT`, or an `OTEL_TRACES_EXPORTER` other than `none`. */
export function isTelemetryAsked(env: Readonly<Record<string, string | undefined>> = process.env): boolean {
  if (env["OTEL_SDK_DISABLED"] === "true") return false;
  const exporter = env["OTEL_TRACES_EXPORTER"];
  if (exporter !== undefined && exporter !== "") return exporter !== "none";
  return Boolean(env["OTEL_EXPORTER_OTLP_ENDPOINT"] || env["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"]);
}

/**
 * Starts the OpenTelemetry SDK, which reads the standard `OTEL_*` variables, and hangs tracing on every broker of the process.
 * The SDK is loaded by this call and not before: a process that traces nothing does not pay for it.
 */
export async function startTelemetry(options: TracingOptions = {}): Promise<Telemetry> {
  const { NodeSDK } = await import("@opentelemetry/sdk-node");
  process.env["OTEL_SERVICE_NAME"] ??= "tasktrail";
  // The SDK's own queue of 2,048 spans lasts a tenth of a second at ten thousand runs a second, and what does not fit is dropped.
  process.env["OTEL_BSP_MAX_QUEUE_SIZE"] ??= "16384";
  process.env["OTEL_BSP_MAX_EXPORT_BATCH_SIZE"] ??= "2048";
  process.env["OTEL_BSP_SCHEDULE_DELAY"] ??= "1000";
  const sdk = new NodeSDK({ instrumentations: [] });
  sdk.start();
  const middleware = tracing(options);
  processMiddleware().push(middleware);
  const shutdown = async () => {
    const all = processMiddleware();
    const index = all.indexOf(middleware);
    if (index >= 0) all.splice(index, 1);
    await sdk.shutdown();
  };
  return { shutdown, [Symbol.asyncDispose]: shutdown };
}
