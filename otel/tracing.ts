import { ProxyTracer, type TracerProvider, trace } from "@opentelemetry/api";
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
  const isHeard = hearing(options);
  return {
    name: "tasktrail.tracing",
    send: (sending) => (isHeard() ? traceDispatch(dispatches, sending) : undefined),
    attempt: (execution) => (isHeard() ? traceAttempt(attempts, execution) : undefined),
    notice: (notice) => traceNotice(tracer, notice),
  };
}

/** Whether anybody listens: until an SDK is registered, tracers of the API are proxies that do nothing. */
function hearing({ provider }: TracingOptions): () => boolean {
  let isHeard = provider !== undefined;
  return () => {
    isHeard ||= !(trace.getTracer(SCOPE) instanceof ProxyTracer);
    return isHeard;
  };
}
