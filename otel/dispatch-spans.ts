import {
  type Attributes,
  type Context,
  context,
  isSpanContextValid,
  SpanKind,
  TraceFlags,
  type Tracer,
  trace,
} from "@opentelemetry/api";
import type { Hook, Sending, Sent } from "../src/middleware.ts";
import { NAMES, SYSTEM, spanName } from "./attributes.ts";
import { idsOfDispatch } from "./ids.ts";
import { markFailed } from "./mark-failed.ts";
import { inject } from "./propagation.ts";
import type { IsKept } from "./sampling.ts";

/** What spans of dispatches are made with. */
export interface DispatchTracing {
  readonly tracer: Tracer;
  /** Undefined: only the SDK knows which spans it keeps. */
  readonly isKept: IsKept | undefined;
}

/** A span around a dispatch; its context travels with the runs. */
export function traceDispatch({ tracer, isKept }: DispatchTracing, sending: Sending): Hook<Sent> {
  // A slot that is due is nobody's request; one that was asked for is that of whoever asked.
  const isFiring = sending.cron !== undefined && sending.cron.trigger !== "manual";
  const around = isFiring ? trace.deleteSpan(context.active()) : context.active();
  const leftOut = isKept === undefined ? undefined : contextOfLeftOut(isKept, sending, around);
  if (leftOut !== undefined) return { carrier: inject(leftOut), enter: (begin) => context.with(leftOut, begin) };
  const name = isFiring ? spanName.fire(sending.cron.schedule) : spanName.enqueue(sending.queue);
  const kind = isFiring ? SpanKind.INTERNAL : SpanKind.PRODUCER;
  const span = tracer.startSpan(name, { kind, attributes: attributesOf(sending) }, around);
  const active = trace.setSpan(around, span);
  return {
    carrier: inject(active),
    enter: (begin) => context.with(active, begin),
    end(sent) {
      if ("error" in sent) markFailed(span, sent.error);
      span.end();
    },
  };
}

/**
 * The context of a dispatch that sampling leaves out: the span that is not made has the ids that a rebuilt one has, and whatever is done
 * within is left out too. Undefined when the span is to be made.
 */
function contextOfLeftOut(isKept: IsKept, { runs }: Sending, around: Context): Context | undefined {
  const parent = trace.getSpanContext(around);
  const isBelow = parent !== undefined && isSpanContextValid(parent);
  const own = idsOfDispatch(runs[0] ?? "");
  const traceId = isBelow ? parent.traceId : own.traceId;
  if (isKept(isBelow ? parent : undefined, traceId)) return undefined;
  const { spanId } = own;
  const state = isBelow && parent.traceState !== undefined ? { traceState: parent.traceState } : undefined;
  return trace.setSpanContext(around, { traceId, spanId, traceFlags: TraceFlags.NONE, ...state });
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
