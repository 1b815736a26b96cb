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
import { inPlain, leftOut } from "../src/left-out.ts";
import type { Hook, Sending, Sent } from "../src/middleware.ts";
import { idsOfDispatch } from "../streams/trace-ids.ts";
import { NAMES, SYSTEM, spanName } from "./attributes.ts";
import { packBaggage } from "./baggage.ts";
import type { RunContexts } from "./contexts.ts";
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
  const without = isKept === undefined ? undefined : leftOutOf(isKept, sending, around);
  if (without !== undefined) return leaveOut(tracing, around, without);
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

/** A dispatch that sampling leaves out: what is not made has the ids that a rebuilt one has. */
interface Without {
  /** The first of its runs. */
  readonly first: string;
  /** The span that it would have been below. */
  readonly parent: SpanContext | undefined;
  /** True when it is of one run, and begins a trace. */
  readonly isOwn: boolean;
}

/** Undefined when it is to be made. */
function leftOutOf(isKept: IsKept, { runs }: Sending, around: Context): Without | undefined {
  const found = trace.getSpanContext(around);
  const parent = found !== undefined && isSpanContextValid(found) ? found : undefined;
  const first = runs[0] ?? "";
  if (isKept(parent, parent?.traceId ?? { run: first, attempt: 0, delivery: 0 })) return undefined;
  return { first, parent, isOwn: parent === undefined && runs.length === 1 };
}

/** Whatever is done within is left out too. */
function leaveOut({ contexts, propagateBaggage }: DispatchTracing, around: Context, without: Without): Hook<Sent> {
  const inside = () => trace.setSpanContext(around, spanOf(without));
  const enter: Hook<Sent>["enter"] =
    contexts === undefined ? (begin) => context.with(inside(), begin) : (begin) => contexts.enter(inside, begin);
  const { first, isOwn } = without;
  const carrier = isOwn ? leftOut({ run: first, attempt: 0, delivery: 0 }) : carrierOf(spanOf(without));
  const baggage = propagateBaggage ? packBaggage(around) : undefined;
  return { carrier: baggage === undefined ? carrier : { ...inPlain(carrier), baggage }, enter, isForCall: true };
}

function spanOf({ first, parent }: Without): SpanContext {
  const own = idsOfDispatch(first);
  const left = { traceId: parent?.traceId ?? own.traceId, spanId: own.spanId, traceFlags: TraceFlags.NONE };
  return parent?.traceState === undefined ? left : { ...left, traceState: parent.traceState };
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
