// `node --import tasktrail/otel app.js`: telemetry for an application's own process, when the OTEL_* variables ask for it.
import { isTelemetryAsked, startTelemetry, type Telemetry } from "./bootstrap.ts";

/** What was started; undefined when no variable asked for it. `await telemetry?.shutdown()` before a `process.exit` of your own. */
export const telemetry: Telemetry | undefined = isTelemetryAsked() ? await begin() : undefined;

async function begin(): Promise<Telemetry> {
  const started = await startTelemetry();
  process.once("beforeExit", () => void started.shutdown());
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    const flush = () => {
      process.off(signal, flush);
      // An application that listens for the signal itself ends when it is ready: beforeExit flushes then.
      if (process.listenerCount(signal) > 0) return;
      void started.shutdown().finally(() => process.kill(process.pid, signal));
    };
    process.on(signal, flush);
  }
  return started;
}
