import { type TracerProvider, trace } from "@opentelemetry/api";
import type { Middleware } from "../src/middleware.ts";
import { type AttemptTracing, traceAttempt } from "./attempt-spans.ts";
import { SCOPE } from "./attributes.ts";
import { traceDispatch } from "./dispatch-spans.ts";
import type { ChosenIds } from "./ids.ts";
import type { Linkage } from "./linkage.ts";
import { traceNotice } from "./notice-spans.ts";
import type { IsKept } from "./sampling.ts";

/** How runs become spans. */
export interface TracingOptions {
  /** How a run's span hangs on that of its dispatch. Default `"auto"`. */
  readonly linkage?: Linkage | undefined;
  /** Where spans go. Default: the provider that the SDK has registered. */
  readonly provider?: TracerProvider | undefined;
  /** What of a run's input stands on its span, as `tasktrail.input`: leave out what nobody may read. Default: nothing. */
  readonly input?: ((input: unknown, task: string) => string | undefined) | undefined;
  /** The id generator that the provider uses, when it is ours: attempts then have ids that other processes can derive. */
  readonly ids?: ChosenIds | undefined;
  /** Foretells what the provider's sampler will say, so that spans it leaves out cost nothing. Default: each is offered to the provider. */
  readonly isKept?: IsKept | undefined;
}

/** Turns dispatches, attempts, fired slots and projected batches into spans. */
export function tracing(options: TracingOptions = {}): Middleware {
  const tracer = (options.provider ?? trace).getTracer(SCOPE);
  const { linkage = "auto", input, ids, isKept } = options;
  const attempts: AttemptTracing = { tracer, linkage, input, ids, isKept };
  const dispatches = { tracer, isKept };
  return {
    name: "tasktrail.tracing",
    send: (sending, next) => traceDispatch(dispatches, sending, next),
    attempt: (execution) => traceAttempt(attempts, execution),
    notice: (notice) => traceNotice(tracer, notice),
  };
}
