import type { Replayed, ReplayOptions } from "../../../projections/catch-up.ts";
import { announceTo, processMiddleware } from "../../middleware.ts";
import type { Terminal } from "../terminal.ts";

/** Tells of a replay, however it ends: with telemetry on, as the OTEL_* variables ask for it, it is a span. */
export async function traced(
  {
    terminal,
    projection,
    mode,
  }: { readonly terminal: Terminal; readonly projection: string } & Pick<ReplayOptions, "mode">,
  work: () => Promise<Replayed>,
): Promise<Replayed> {
  const { isTelemetryAsked, startTelemetry } = await import("../../../otel/bootstrap.ts");
  await using _telemetry = isTelemetryAsked(terminal.env) ? await startTelemetry({ report: terminal.note }) : undefined;
  const begun = performance.now();
  const tell = (events: number, rows: number, error?: unknown) => {
    const tookMs = performance.now() - begun;
    announceTo(processMiddleware(), { kind: "projection.replayed", projection, mode, events, rows, tookMs, error });
  };
  try {
    const replayed = await work();
    tell(replayed.events, replayed.insert + replayed.update + replayed.delete);
    return replayed;
  } catch (error) {
    tell(0, 0, error);
    throw error;
  }
}
