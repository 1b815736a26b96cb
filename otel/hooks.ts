import type { Middleware } from "../src/middleware.ts";
import { type MeteringOptions, metering } from "./metrics.ts";
import { type TracingOptions, tracing } from "./tracing.ts";

/** What spans and metrics hang on, and where they go. */
export interface HookOptions extends Omit<TracingOptions, "provider" | "ids"> {
  /** Default: the provider that your SDK has registered. */
  readonly tracerProvider?: TracingOptions["provider"];
  /** Default: the provider that your SDK has registered. */
  readonly meterProvider?: MeteringOptions["provider"];
}

/**
 * Spans and metrics for a broker in an application that starts an OpenTelemetry SDK itself: `createBroker({ middleware: telemetryHooks() })`.
 * Start the SDK first. Spans then have the SDK's own random ids, so that a redelivered attempt has no link to the delivery before.
 */
export function telemetryHooks({ tracerProvider, meterProvider, ...options }: HookOptions = {}): Middleware[] {
  return [tracing({ ...options, provider: tracerProvider }), metering({ provider: meterProvider })];
}
