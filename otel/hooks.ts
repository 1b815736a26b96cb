import { createNoopMeter, metrics } from "@opentelemetry/api";
import { processMiddleware } from "../src/middleware.ts";
import { SCOPE } from "./attributes.ts";
import { type MeteringOptions, metering } from "./metrics.ts";
import { type TracingOptions, tracing } from "./tracing.ts";

/** What spans and metrics hang on, and where they go. */
export interface HookOptions extends Omit<TracingOptions, "provider" | "ids" | "isKept" | "contexts"> {
  /** Default: the provider that your SDK has registered. */
  readonly tracerProvider?: TracingOptions["provider"];
  /** Default: the provider that your SDK has registered. */
  readonly meterProvider?: MeteringOptions["provider"];
}

/**
 * Hangs spans and metrics on every broker of the process, in an application that starts an OpenTelemetry SDK itself. Start the SDK first.
 * Spans then have the SDK's own random ids, so that a redelivered attempt has no link to the delivery before.
 * Disposing of it takes them off.
 */
export function attachTelemetry({ tracerProvider, meterProvider, ...options }: HookOptions = {}): Disposable {
  const hung = [tracing({ ...options, provider: tracerProvider })];
  const provider = meterProvider ?? metrics.getMeterProvider();
  // Without an SDK for metrics there is nobody to count for.
  if (provider.getMeter(SCOPE) !== createNoopMeter()) hung.push(metering({ provider }));
  processMiddleware().push(...hung);
  return {
    [Symbol.dispose]() {
      const all = processMiddleware();
      for (const one of hung) if (all.includes(one)) all.splice(all.indexOf(one), 1);
    },
  };
}
