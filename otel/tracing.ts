import {
  type Attributes,
  context,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  type Tracer,
  type TracerProvider,
  trace,
} from "@opentelemetry/api";
import type { Carrier, Ended, Execution, Middleware, Sending } from "../src/middleware.ts";
import { GROUP, NAMES, SCOPE, SYSTEM, spanName } from "./attributes.ts";
import { type ChosenIds, idsOfAttempt } from "./ids.ts";
import { isChild, type Linkage, linksOf, linkToDelivery } from "./linkage.ts";
import { traceNotice } from "./notice-spans.ts";
import { extract, inject } from "./propagation.ts";

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
}

/** Turns dispatches, attempts, fired slots and projected batches into spans. */
export function tracing(options: TracingOptions = {}): Middleware {
  const tracer = (options.provider ?? trace).getTracer(SCOPE);
  return {
    name: "tasktrail.tracing",
    send: (sending, next) => traceSend(tracer, sending, next),
    execute: (execution, next) => traceExecution({ tracer, execution, options }, next),
    notice: (notice) => traceNotice(tracer, notice),
  };
}

function traceSend<T>(tracer: Tracer, sending: Sending, next: (carrier: Carrier) => Promise<T>): Promise<T> {
  const { queue, cron } = sending;
  // A slot that is due is nobody's request; one that was asked for is that of whoever asked.
  const isFiring = cron !== undefined && cron.trigger !== "manual";
  const name = isFiring ? spanName.fire(cron.schedule) : spanName.enqueue(queue);
  const kind = isFiring ? SpanKind.INTERNAL : SpanKind.PRODUCER;
  const options = { kind, attributes: attributesOfSending(sending), root: isFiring };
  return tracer.startActiveSpan(name, options, async (span) => {
    try {
      return await next(inject());
    } catch (error) {
      fail(span, error);
      throw error;
    } finally {
      span.end();
    }
  });
}

function attributesOfSending({ runs, task, queue, cron }: Sending): Attributes {
  return {
    [NAMES.system]: SYSTEM,
    [NAMES.operationName]: "enqueue",
    [NAMES.operationType]: "send",
    [NAMES.destination]: queue,
    [NAMES.task]: task,
    ...(runs.length === 1
      ? { [NAMES.messageId]: runs[0] as string, [NAMES.run]: runs[0] as string }
      : { [NAMES.batchCount]: runs.length }),
    ...(cron === undefined
      ? {}
      : {
          [NAMES.schedule]: cron.schedule,
          [NAMES.slot]: new Date(cron.slot).toISOString(),
          [NAMES.trigger]: cron.trigger,
        }),
  };
}

interface Traced {
  readonly tracer: Tracer;
  readonly execution: Execution;
  readonly options: TracingOptions;
}

async function traceExecution(traced: Traced, next: (carrier: Carrier) => Promise<Ended>): Promise<Ended> {
  const { execution, options } = traced;
  const parent = isChild(execution, options.linkage ?? "auto") ? extract(execution.carrier) : ROOT_CONTEXT;
  const span = startAttempt(traced, parent);
  const active = trace.setSpan(parent, span);
  try {
    const ended = await context.with(active, () => next(inject(active)));
    span.setAttribute(NAMES.outcome, ended.kind);
    // One that was cancelled or interrupted has not failed, though its handler may have thrown what it was told.
    if (ended.kind === "failed" || ended.kind === "died") fail(span, ended.error);
    return ended;
  } finally {
    span.end();
  }
}

function startAttempt({ tracer, execution, options }: Traced, parent: typeof ROOT_CONTEXT): Span {
  const linkage = options.linkage ?? "auto";
  const links = linksOf(execution, linkage);
  // What samplers may decide by. The rest is worked out for spans that are kept: most are not, where few are sampled.
  const attributes = { [NAMES.destination]: execution.queue, [NAMES.task]: execution.task };
  const said = { kind: SpanKind.CONSUMER, attributes, links };
  const start = () => tracer.startSpan(spanName.process(execution.queue), said, parent);
  const before = options.ids === undefined ? undefined : linkToDelivery(execution, linkage);
  if (before !== undefined) links.push(before);
  const span = options.ids === undefined ? start() : options.ids.as(idsOfAttempt(execution), start);
  if (span.isRecording()) span.setAttributes(attributesOfExecution(execution, options));
  return span;
}

function attributesOfExecution(execution: Execution, { input }: TracingOptions): Attributes {
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
function shown(input: NonNullable<TracingOptions["input"]>, { input: value, task }: Execution): string | undefined {
  try {
    return input(value, task);
  } catch {
    return "(the function that shows inputs has thrown)";
  }
}

/** Marks a span as failed, with the error's type and stack. */
function fail(span: Span, error: unknown): void {
  const thrown = error instanceof Error ? error : new Error(String(error));
  const code = (thrown as { code?: unknown }).code;
  span.recordException(thrown);
  span.setAttribute(NAMES.errorType, typeof code === "string" ? code : thrown.name);
  span.setStatus({ code: SpanStatusCode.ERROR, message: thrown.message });
}
