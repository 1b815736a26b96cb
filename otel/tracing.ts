import { ProxyTracerProvider, type TracerProvider, trace } from "@opentelemetry/api";
import type { Middleware } from "../src/middleware.ts";
import { type AttemptTracing, traceAttempt } from "./attempt-spans.ts";
import { SCOPE } from "./attributes.ts";
import type { RunContexts } from "./contexts.ts";
import { type DispatchTracing, traceDispatch } from "./dispatch-spans.ts";
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
  /** Whether the baggage that is active at a dispatch travels with its runs, and is active again in their handlers. Default false. */
  readonly propagateBaggage?: boolean | undefined;
  /** What of a run's input stands on its span, as `tasktrail.input`: leave out what nobody may read. Default: nothing. */
  readonly input?: ((input: unknown, task: string) => string | undefined) | undefined;
  /** The id generator that the provider uses, when it is ours: attempts then have ids that other processes can derive. */
  readonly ids?: ChosenIds | undefined;
  /** Foretells what the provider's sampler will say, so that spans it leaves out cost nothing. Default: each is offered to the provider. */
  readonly isKept?: IsKept | undefined;
  /** What is active in the process, when its context manager is ours: runs need not be entered then. */
  readonly contexts?: RunContexts | undefined;
}

/** Turns dispatches, attempts, fired slots and projected batches into spans. */
export function tracing(options: TracingOptions = {}): Middleware {
  const tracer = (options.provider ?? trace).getTracer(SCOPE);
  const { linkage = "auto", propagateBaggage = false, input, ids, isKept, contexts } = options;
  const attempts: AttemptTracing = { tracer, linkage, propagateBaggage, input, ids, isKept, contexts };
  const dispatches: DispatchTracing = { tracer, propagateBaggage, isKept, contexts };
  return {
    name: "tasktrail.tracing",
    isIdle: options.provider === undefined ? deafness() : () => false,
    send: (sending) => traceDispatch(dispatches, sending),
    attempt: (execution) => traceAttempt(attempts, execution),
    notice: (notice) => traceNotice(tracer, notice),
  };
}

/** Whether nobody listens: until an SDK is registered, tracers of the API are proxies that do nothing. */
function deafness(): () => boolean {
  let isHeard = false;
  return () => {
    if (isHeard) return false;
    const provider = trace.getTracerProvider();
    isHeard = !(provider instanceof ProxyTracerProvider) || provider.getDelegateTracer(SCOPE) !== undefined;
    return !isHeard;
  };
}
