import {
  type Context,
  context,
  type Link,
  propagation,
  ROOT_CONTEXT,
  type SpanContext,
  trace,
} from "@opentelemetry/api";
import type { Carrier } from "../src/middleware.ts";

/** The trace context that is active, as it travels with a run. Empty without an SDK. Baggage stays behind: what travels is kept for years. */
export function inject(active: Context = context.active()): Carrier {
  const carrier: { traceparent?: string; tracestate?: string } = {};
  propagation.inject(active, carrier);
  return {
    ...(carrier.traceparent === undefined ? {} : { traceparent: carrier.traceparent }),
    ...(carrier.tracestate === undefined ? {} : { tracestate: carrier.tracestate }),
  };
}

/** A context whose parent is where the carrier came from. */
export function extract(carrier: Carrier): Context {
  return propagation.extract(ROOT_CONTEXT, carrier);
}

/** The span that a carrier came from; undefined when it carries none. */
export function spanContextOf(carrier: Carrier | undefined): SpanContext | undefined {
  return carrier?.traceparent === undefined ? undefined : trace.getSpanContext(extract(carrier));
}

/** A link to where a carrier came from, as a list of none or one. */
export function linkTo(carrier: Carrier | undefined, relation: string): Link[] {
  const found = spanContextOf(carrier);
  return found === undefined ? [] : [{ context: found, attributes: { "tasktrail.link": relation } }];
}
