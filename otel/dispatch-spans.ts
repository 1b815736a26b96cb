import {
  type Attributes,
  type Context,
  context,
  isSpanContextValid,
  type SpanContext,
  SpanKind,
  TraceFlags,
  type Tracer,
  trace,
} from "@opentelemetry/api";
import type { Hook, Sending, Sent } from "../src/middleware.ts";
import { NAMES, SYSTEM, spanName } from "./attributes.ts";
import { packBaggage } from "./baggage.ts";
import type { RunContexts } from "./contexts.ts";
import { idsOfDispatch } from "./ids.ts";
import { markFailed } from "./mark-failed.ts";
import { carrierOf, inject } from "./propagation.ts";
import type { IsKept } from "./sampling.ts";

/** What spans of dispatches are made with. */
export interface DispatchTracing {
  readonly tracer: Tracer;
  /** Whether the baggage that is active travels along. */
  readonly propagateBaggage: boolean;
  /** Undefined: only the SDK knows which spans it keeps. */
  readonly isKept: IsKept | undefined;
  /** Undefined: the SDK's context manager is not ours. */
  readonly contexts: RunContexts | undefined;
}

/** A span around a dispatch; its context travels with the runs. */
export function traceDispatch(tracing: DispatchTracing, sending: Sending): Hook<Sent> {
  const { tracer, propagateBaggage, isKept, contexts } = tracing;
  // A slot that is due is nobody's request; one that was asked for is that of whoever asked.
  const isFiring = sending.cron !== undefined && sending.cron.trigger !== "manual";
  const active = (contexts?.manager ?? context).active();
  const around = isFiring ? trace.deleteSpan(active) : active;
  const leftOut = isKept === undefined ? undefined : leftOutOf(isKept, sending, around);
  if (leftOut !== undefined) return leaveOut(tracing, around, leftOut);
  const name = isFiring ? spanName.fire(sending.cron.schedule) : spanName.enqueue(sending.queue);
  const kind = isFiring ? SpanKind.INTERNAL : SpanKind.PRODUCER;
  const span = tracer.startSpan(name, { kind, attributes: attributesOf(sending) }, around);
  const inside = trace.setSpan(around, span);
  return {
    carrier: inject(inside, propagateBaggage),
    enter: (begin) => context.with(inside, begin),
    end(sent) {
      if ("error" in sent) markFailed(span, sent.error);
      span.end();
    },
  };
}

/** Whatever is done within is left out too. */
function leaveOut({ contexts, propagateBaggage }: DispatchTracing, around: Context, leftOut: SpanContext): Hook<Sent> {
  const inside = () => trace.setSpanContext(around, leftOut);
  const enter: Hook<Sent>["enter"] =
    contexts === undefined ? (begin) => context.with(inside(), begin) : (begin) => contexts.enter(inside, begin);
  const carrier = propagateBaggage ? { ...carrierOf(leftOut), baggage: packBaggage(around) } : carrierOf(leftOut);
  return { carrier, enter };
}

/** The span of a dispatch that sampling leaves out: what is not made has the ids that a rebuilt one has. Undefined when it is to be made. */
function leftOutOf(isKept: IsKept, { runs }: Sending, around: Context): SpanContext | undefined {
  const parent = trace.getSpanContext(around);
  const isBelow = parent !== undefined && isSpanContextValid(parent);
  const own = idsOfDispatch(runs[0] ?? "");
  const traceId = isBelow ? parent.traceId : own.traceId;
  if (isKept(isBelow ? parent : undefined, traceId)) return undefined;
  const left = { traceId, spanId: own.spanId, traceFlags: TraceFlags.NONE };
  return isBelow && parent.traceState !== undefined ? { ...left, traceState: parent.traceState } : left;
}

function attributesOf({ runs, task, queue, cron }: Sending): Attributes {
  const attributes: Attributes = {
    [NAMES.system]: SYSTEM,
    [NAMES.operationName]: "enqueue",
    [NAMES.operationType]: "send",
    [NAMES.destination]: queue,
    [NAMES.task]: task,
  };
  if (runs.length === 1) attributes[NAMES.messageId] = attributes[NAMES.run] = runs[0];
  else attributes[NAMES.batchCount] = runs.length;
  if (cron !== undefined) {
    attributes[NAMES.schedule] = cron.schedule;
    attributes[NAMES.slot] = new Date(cron.slot).toISOString();
    attributes[NAMES.trigger] = cron.trigger;
  }
  return attributes;
}
