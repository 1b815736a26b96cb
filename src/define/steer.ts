import { isTasktrailError, TasktrailError } from "../errors.ts";
import { type Duration, durationMs } from "./duration.ts";

/**
 * Thrown by a handler: fail this attempt and try again, at a time of your choosing.
 * Without `in`, the wait is that of the task's retry policy. It uses up an attempt like any failure.
 */
export class Retry extends TasktrailError {
  constructor(
    options: {
      readonly in?: Duration | undefined;
      readonly message?: string | undefined;
      readonly cause?: unknown;
    } = {},
  ) {
    const afterMs = options.in === undefined ? undefined : durationMs(options.in, "in");
    super("retry", options.message ?? "The handler asked to be run again", {
      cause: options.cause,
      details: afterMs === undefined ? {} : { afterMs },
    });
  }
}

/** Thrown by a handler: do not try again. */
export class Abort extends TasktrailError {
  constructor(message?: string, options: { readonly cause?: unknown } = {}) {
    super("abort", message ?? "The handler asked not to be run again", options);
  }
}

/** The wait that a thrown `Retry` asks for, in ms: undefined when it names none, or when the error is no `Retry`. */
export function askedDelayMs(error: unknown): number | undefined {
  if (!isTasktrailError(error, "retry")) return undefined;
  const { afterMs } = error.details;
  return typeof afterMs === "number" ? afterMs : undefined;
}
