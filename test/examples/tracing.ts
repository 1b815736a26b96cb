// What docs/tracing.md shows: telemetry in an application's own process.
import { attachTelemetry } from "tasktrail/otel/hooks";
import { startTelemetry } from "tasktrail/otel/start";

/** Starts the SDK from code, for what no variable can say. */
export async function traced(work: () => Promise<void>): Promise<void> {
  // #region start
  await using _telemetry = await startTelemetry({
    linkage: "link",
    input: (input, task) => (task === "import_products" ? JSON.stringify(input) : undefined),
  });
  await work();
  // #endregion
}

/** Hangs spans and metrics on an SDK that the application has started itself. */
export async function attached(work: () => Promise<void>): Promise<void> {
  // #region hooks
  using _hooks = attachTelemetry({ linkage: "parent" });
  await work();
  // #endregion
}
