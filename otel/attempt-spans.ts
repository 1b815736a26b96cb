import {
  type Attributes,
  type Context,
  context,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  type Tracer,
  trace,
} from "@opentelemetry/api";
import { leftOut } from "../src/left-out.ts";
import type { Carrier, Ended, Execution, Hook } from "../src/middleware.ts";
import { idsOfAttempt, type SpanIds } from "../streams/trace-ids.ts";
import { GROUP, NAMES, SYSTEM, spanName } from "./attributes.ts";
import { withBaggage } from "./baggage.ts";
import type { RunContexts } from "./contexts.ts";
import type { ChosenIds } from "./ids.ts";
import { isChild, type Linkage, linksOf, linkToDelivery } from "./linkage.ts";
import { markFailed } from "./mark-failed.ts";
import { extract, inject, parentOf } from "./propagation.ts";
import type { IsKept } from "./sampling.ts";

/** What spans of attempts are made with. */
export interface AttemptTracing {
  readonly tracer: Tracer;
  readonly linkage: Linkage;
  /** Whether what is dispatched within takes the baggage along. */
  readonly propagateBaggage: boolean;
  /** What of an input stands on the span; undefined: nothing. */
  readonly input: ((input: unknown, task: string) => string | undefined) | undefined;
  /** Undefined: the SDK gives spans ids of its own. */
  readonly ids: ChosenIds | undefined;
  /** Undefined: only the SDK knows which spans it keeps. */
  readonly isKept: IsKept | undefined;
  /** Undefined: runs are entered as the SDK's context manager wants it. */
  readonly contexts: RunContexts | undefined;
}

/** A span around an attempt, which is active while the handler runs. Next to nothing when sampling leaves it out: that is asked first. */
export function traceAttempt(tracing: AttemptTracing, execution: Execution): Hook<Ended> | undefined {
  const { linkage, propagateBaggage, isKept } = tracing;
  const { carrier } = execution;
  const dispatch = isChild(execution, linkage) ? parentOf(carrier) : undefined;
  if (isKept !== undefined && dispatch !== undefined && !isKept(dispatch, dispatch.trace))
    return leaveOutBelow(tracing, carrier);
  if (isKept !== undefined && dispatch === undefined && tracing.ids !== undefined && !isKept(undefined, execution))
    return leaveOut(tracing, execution);
  const ids = tracing.ids === undefined ? undefined : idsOfAttempt(execution);
  const parent = dispatch === undefined ? withBaggage(ROOT_CONTEXT, carrier.baggage) : extract(carrier);
  const span = startAttempt({ tracing, execution, parent, ids });
  const active = trace.setSpan(parent, span);
  const said: Hook<Ended> = { carrier: inject(active, propagateBaggage) };
  const hook = tracing.contexts === undefined ? { ...said, ...within(active) } : { ...said, context: active };
  // One that the SDK leaves out keeps nothing: nobody has to wait for its end.
  return span.isRecording() ? { ...hook, end: (ended) => endAttempt(span, ended) } : hook;
}

/** Of an attempt that would have been below its dispatch: whatever the handler does belongs to the dispatch's trace, which is left out as well. */
function leaveOutBelow({ contexts }: AttemptTracing, carrier: Carrier): Hook<Ended> | undefined {
  return contexts === undefined ? within(extract(carrier)) : undefined;
}

/** Of one that would have begun a trace: whatever the handler does is left out with it, under the ids that it has when it is rebuilt. */
function leaveOut(
  { contexts }: AttemptTracing,
  { run, attempt, delivery, carrier: { baggage } }: Execution,
): Hook<Ended> {
  const own = leftOut({ run, attempt, delivery });
  const carrier = baggage === undefined ? own : { traceparent: own.traceparent, baggage };
  return contexts === undefined ? { carrier, ...within(extract(carrier)) } : { carrier };
}

function within(active: Context): Hook<Ended> {
  return { enter: (begin) => context.with(active, begin) };
}

interface Starting {
  readonly tracing: AttemptTracing;
  readonly execution: Execution;
  readonly parent: Context;
  readonly ids: SpanIds | undefined;
}

function startAttempt({ tracing, execution, parent, ids }: Starting): Span {
  const { tracer, linkage, isKept } = tracing;
  const links = linksOf(execution, linkage);
  // What a sampler of the user's may decide by. The rest is worked out for spans that are kept.
  const attributes =
    isKept === undefined
      ? { [NAMES.destination]: execution.queue, [NAMES.task]: execution.task }
      : attributesOf(execution, tracing);
  const said = { kind: SpanKind.CONSUMER, attributes, links };
  const start = () => tracer.startSpan(spanName.process(execution.queue), said, parent);
  const before = ids === undefined ? undefined : linkToDelivery(execution, linkage);
  if (before !== undefined) links.push(before);
  const span = tracing.ids === undefined || ids === undefined ? start() : tracing.ids.as(ids, start);
  if (isKept === undefined && span.isRecording()) span.setAttributes(attributesOf(execution, tracing));
  return span;
}

function endAttempt(span: Span, { kind, error }: Ended): void {
  span.setAttribute(NAMES.outcome, kind);
  // One that was cancelled or interrupted has not failed, though its handler may have thrown what it was told.
  if (kind === "failed" || kind === "died") markFailed(span, error);
  span.end();
}

function attributesOf(execution: Execution, { input }: AttemptTracing): Attributes {
  const { task, schedule, slot, trigger, redriveOf, dueAt, enqueuedAt } = execution;
  const attributes: Attributes = {
    [NAMES.system]: SYSTEM,
    [NAMES.operationName]: "process",
    [NAMES.operationType]: "process",
    [NAMES.destination]: execution.queue,
    [NAMES.group]: GROUP,
    [NAMES.clientId]: execution.worker,
    [NAMES.messageId]: execution.run,
    [NAMES.run]: execution.run,
    [NAMES.task]: task,
    [NAMES.attempt]: execution.attempt,
    [NAMES.maxAttempts]: execution.maxAttempts,
    [NAMES.delivery]: execution.delivery,
    [NAMES.worker]: execution.worker,
    [NAMES.waitMs]: Math.max(0, Date.now() - (dueAt ?? enqueuedAt)),
  };
  if (schedule !== undefined) attributes[NAMES.schedule] = schedule;
  if (slot !== undefined) attributes[NAMES.slot] = new Date(slot).toISOString();
  if (trigger !== undefined) attributes[NAMES.trigger] = trigger;
  if (redriveOf !== undefined) attributes[NAMES.redriveOf] = redriveOf;
  if (input !== undefined) attributes[NAMES.input] = shown(input, execution);
  return attributes;
}

/** A function of the user's that throws costs the attribute, and not the span. */
function shown(input: NonNullable<AttemptTracing["input"]>, { input: value, task }: Execution): string | undefined {
  try {
    return input(value, task);
  } catch {
    return "(the function that shows inputs has thrown)";
  }
}
