import {
  type Attributes,
  context,
  type Link,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  type Tracer,
  type TracerProvider,
  trace,
} from "@opentelemetry/api";
import type { Carrier, Ended, Execution, Middleware, Notice, Sending } from "../src/middleware.ts";
import { GROUP, NAMES, SCOPE, SYSTEM, spanName } from "./attributes.ts";
import { extract, inject, linkTo } from "./propagation.ts";

/** How a run's span hangs on that of its dispatch. */
export interface TracingOptions {
  /**
   * `"parent"`: always its child. `"link"`: always a trace of its own that links to it. `"auto"` (default): a child when it is the
   * first attempt of a run that was dispatched to run at once; a link for delayed, retried, redelivered, cron and redriven runs,
   * whose parent's trace has long been closed by then.
   */
  readonly linkage?: "auto" | "parent" | "link" | undefined;
  /** Where spans go. Default: the provider that the SDK has registered. */
  readonly provider?: TracerProvider | undefined;
}

/** A run that is due this much later than it was dispatched counts as delayed, in ms. */
const DELAYED_MS = 30_000;

/** Turns dispatches, attempts, fired slots and projected batches into spans. */
export function tracing({ linkage = "auto", provider = trace }: TracingOptions = {}): Middleware {
  const tracer = provider.getTracer(SCOPE);
  return {
    name: "tracing",
    send: (sending, next) => traceSend(tracer, sending, next),
    execute: (execution, next) => traceExecution(tracer, { execution, linkage }, next),
    notice: (notice) => traceNotice(tracer, notice),
  };
}

function traceSend<T>(tracer: Tracer, sending: Sending, next: (carrier: Carrier) => Promise<T>): Promise<T> {
  const { runs, task, queue } = sending;
  const attributes: Attributes = {
    [NAMES.system]: SYSTEM,
    [NAMES.operationName]: "enqueue",
    [NAMES.operationType]: "send",
    [NAMES.destination]: queue,
    [NAMES.task]: task,
    ...(runs.length === 1
      ? { [NAMES.messageId]: runs[0] as string, [NAMES.run]: runs[0] as string }
      : { [NAMES.batchCount]: runs.length }),
  };
  return tracer.startActiveSpan(spanName.enqueue(queue), { kind: SpanKind.PRODUCER, attributes }, async (span) => {
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

interface Tracing {
  readonly execution: Execution;
  readonly linkage: "auto" | "parent" | "link";
}

async function traceExecution(
  tracer: Tracer,
  { execution, linkage }: Tracing,
  next: (carrier: Carrier) => Promise<Ended>,
): Promise<Ended> {
  const isChild = linkage === "parent" || (linkage === "auto" && isImmediate(execution));
  const parent = isChild ? extract(execution.carrier) : ROOT_CONTEXT;
  const links: Link[] = [
    ...(isChild ? [] : linkTo(execution.carrier, "dispatch")),
    ...linkTo(execution.previous, "previous attempt"),
  ];
  const options = { kind: SpanKind.CONSUMER, attributes: attributesOf(execution), links };
  const span = tracer.startSpan(spanName.process(execution.queue), options, parent);
  const active = trace.setSpan(parent, span);
  try {
    const ended = await context.with(active, () => next(inject(active)));
    span.setAttribute(NAMES.outcome, ended.kind);
    if (ended.error !== undefined) fail(span, ended.error);
    return ended;
  } finally {
    span.end();
  }
}

/** True for the first attempt of a run that was to run at once. */
function isImmediate({ attempt, delivery, dueAt, enqueuedAt, schedule, redriveOf }: Execution): boolean {
  if (attempt > 1 || delivery > 1 || schedule !== undefined || redriveOf !== undefined) return false;
  return dueAt === undefined || dueAt - enqueuedAt <= DELAYED_MS;
}

function attributesOf(execution: Execution): Attributes {
  return {
    [NAMES.system]: SYSTEM,
    [NAMES.operationName]: "process",
    [NAMES.operationType]: "process",
    [NAMES.destination]: execution.queue,
    [NAMES.group]: GROUP,
    [NAMES.clientId]: execution.worker,
    [NAMES.messageId]: execution.run,
    [NAMES.run]: execution.run,
    [NAMES.task]: execution.task,
    [NAMES.attempt]: execution.attempt,
    [NAMES.delivery]: execution.delivery,
    [NAMES.worker]: execution.worker,
    ...(execution.schedule === undefined ? {} : { [NAMES.schedule]: execution.schedule }),
    ...(execution.slot === undefined ? {} : { [NAMES.slot]: new Date(execution.slot).toISOString() }),
    ...(execution.redriveOf === undefined ? {} : { [NAMES.redriveOf]: execution.redriveOf }),
  };
}

/** Marks a span as failed, with the error's type and stack. */
function fail(span: Span, error: unknown): void {
  const thrown = error instanceof Error ? error : new Error(String(error));
  const code = (thrown as { code?: unknown }).code;
  span.recordException(thrown);
  span.setAttribute(NAMES.errorType, typeof code === "string" ? code : thrown.name);
  span.setStatus({ code: SpanStatusCode.ERROR, message: thrown.message });
}

/** What is told after the fact becomes a span that ends when it is told. */
function traceNotice(tracer: Tracer, notice: Notice): void {
  if (notice.kind !== "batch.projected") return;
  const endTime = Date.now();
  const span = tracer.startSpan(
    spanName.project(notice.queue),
    {
      kind: SpanKind.INTERNAL,
      startTime: endTime - notice.tookMs,
      attributes: { [NAMES.destination]: notice.queue, [NAMES.events]: notice.events, [NAMES.rows]: notice.rows },
    },
    ROOT_CONTEXT,
  );
  span.end(endTime);
}
