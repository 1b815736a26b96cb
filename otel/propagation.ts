import {
  type Context,
  context,
  createTraceState,
  INVALID_TRACEID,
  type Link,
  ROOT_CONTEXT,
  type SpanContext,
  TraceFlags,
  trace,
} from "@opentelemetry/api";
import { followsFrom } from "../src/left-out.ts";
import type { Carrier } from "../src/middleware.ts";
import type { AttemptKey } from "../streams/trace-ids.ts";
import { packBaggage, withBaggage } from "./baggage.ts";

// W3C Trace Context, level 1. Spelt here and not left to the process' propagators: these may be set to another format,
// and what stands in entries and in the ledger is read by other processes, years later.
const TRACEPARENT = /^00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})$/;

/** The trace context that is active, as it travels with a run. Empty without an SDK. Baggage stays behind unless it was asked for: it may hold what nobody else may read. */
export function inject(active: Context = context.active(), propagateBaggage = false): Carrier {
  const found = trace.getSpanContext(active);
  if (found === undefined || found.traceId === INVALID_TRACEID) return {};
  return propagateBaggage ? { ...carrierOf(found), baggage: packBaggage(active) } : carrierOf(found);
}

/** A span, as it travels with what it has caused. */
export function carrierOf(span: SpanContext): Carrier {
  const tracestate = span.traceState?.serialize();
  const traceparent = formatTraceparent(span);
  return tracestate === undefined || tracestate === "" ? { traceparent } : { traceparent, tracestate };
}

/** A span's name as a `traceparent`. */
export function formatTraceparent({
  traceId,
  spanId,
  traceFlags,
}: Pick<SpanContext, "traceId" | "spanId" | "traceFlags">): string {
  return `00-${traceId}-${spanId}-0${traceFlags & 1}`;
}

/** The span that a carrier came from; undefined when it carries none, or one that cannot be read. */
export function spanContextOf({ traceparent, tracestate }: Carrier = {}): SpanContext | undefined {
  const [, traceId, spanId, flags] = TRACEPARENT.exec(traceparent ?? "") ?? [];
  if (traceId === undefined || spanId === undefined || flags === undefined) return undefined;
  const found: SpanContext = { traceId, spanId, traceFlags: Number.parseInt(flags, 16) & 1, isRemote: true };
  return tracestate === undefined ? found : { ...found, traceState: createTraceState(tracestate) };
}

/** What sampling asks of the span that a carrier came from; undefined when it carries none, or one that cannot be read. */
export function parentOf(
  carrier: Carrier,
): { readonly trace: string | AttemptKey; readonly traceFlags: TraceFlags } | undefined {
  const of = followsFrom(carrier);
  if (of !== undefined) return { trace: of, traceFlags: TraceFlags.NONE };
  const { traceparent } = carrier;
  if (traceparent === undefined || !TRACEPARENT.test(traceparent)) return undefined;
  return { trace: traceparent.slice(3, 35), traceFlags: Number.parseInt(traceparent.slice(-2), 16) & 1 };
}

/** A context whose parent is where the carrier came from, with the baggage that came along. */
export function extract(carrier: Carrier): Context {
  const found = spanContextOf(carrier);
  const bare = withBaggage(ROOT_CONTEXT, carrier.baggage);
  return found === undefined ? bare : trace.setSpanContext(bare, found);
}

/** A link to where a carrier came from, as a list of none or one. */
export function linkTo(carrier: Carrier | undefined, relation: string): Link[] {
  const found = spanContextOf(carrier);
  return found === undefined ? [] : [{ context: found, attributes: { "tasktrail.link": relation } }];
}
