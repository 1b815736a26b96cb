import {
  type Attributes,
  ROOT_CONTEXT,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  type Tracer,
  trace,
} from "@opentelemetry/api";
import type { Notice } from "../src/middleware.ts";
import type { LedgerEvent } from "../streams/events.ts";
import { GROUP, NAMES, SYSTEM, spanName } from "./attributes.ts";
import { markFailed } from "./mark-failed.ts";
import { linkTo, spanContextOf } from "./propagation.ts";

/** Makes spans of what is told after the fact: batches that were projected, and runs that ended without a handler's turn. */
export function traceNotice(tracer: Tracer, notice: Notice): void {
  if (notice.kind === "batch.projected") traceBatch(tracer, notice);
  if (notice.kind === "projection.replayed") traceReplay(tracer, notice);
  if (notice.kind !== "events.recorded" || notice.isPlain === true) return;
  for (const event of notice.events) if (isStillborn(event)) traceStillborn(tracer, event, notice.queue);
}

function traceBatch(tracer: Tracer, notice: Extract<Notice, { kind: "batch.projected" }>): void {
  const endTime = Date.now();
  const { queue, events, rows, tookMs } = notice;
  const attributes: Attributes = { [NAMES.destination]: queue, [NAMES.events]: events, [NAMES.rows]: rows };
  const options = { kind: SpanKind.INTERNAL, startTime: endTime - tookMs, attributes };
  tracer.startSpan(spanName.project(queue), options, ROOT_CONTEXT).end(endTime);
}

function traceReplay(tracer: Tracer, notice: Extract<Notice, { kind: "projection.replayed" }>): void {
  const endTime = Date.now();
  const { projection, mode, events, rows, tookMs, error } = notice;
  const attributes: Attributes = { [NAMES.mode]: mode, [NAMES.events]: events, [NAMES.rows]: rows };
  const options = { kind: SpanKind.INTERNAL, startTime: endTime - tookMs, attributes };
  const span = tracer.startSpan(spanName.replay(projection), options, ROOT_CONTEXT);
  if (error !== undefined) markFailed(span, error);
  span.end(endTime);
}

type Stillborn = Partial<LedgerEvent<"run.died"> | LedgerEvent<"run.skipped">>;

/** Poison, expired, of an unknown task, or overtaken by its overlap lock: no attempt was made, and no span. */
function isStillborn(event: Partial<LedgerEvent>): event is Stillborn {
  if (event.type === "run.skipped") return true;
  return event.type === "run.died" && event.durationMs === undefined;
}

/** A span without length where the run's trace would otherwise just stop. */
function traceStillborn(tracer: Tracer, event: Stillborn, queue: string): void {
  const at = event.at ?? Date.now();
  const attributes: Attributes = {
    [NAMES.system]: SYSTEM,
    [NAMES.operationName]: "process",
    [NAMES.operationType]: "process",
    [NAMES.destination]: queue,
    [NAMES.group]: GROUP,
    [NAMES.outcome]: event.type === "run.died" ? "died" : "skipped",
    ...known(NAMES.run, event.run),
    ...known(NAMES.task, event.task),
    ...known(NAMES.attempt, event.attempt),
    ...known(NAMES.worker, event.worker),
    ...known(NAMES.reason, event.reason),
  };
  const dispatch: SpanContext | undefined = spanContextOf(event);
  const parent = dispatch === undefined ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, dispatch);
  const options = { kind: SpanKind.CONSUMER, attributes, startTime: at, links: linkTo(event, "dispatch") };
  const span = tracer.startSpan(spanName.process(queue), options, parent);
  if (event.type === "run.died") {
    span.setAttribute(NAMES.errorType, event.error?.type ?? event.reason ?? "died");
    span.setStatus({ code: SpanStatusCode.ERROR, message: event.error?.message ?? event.reason ?? "" });
  }
  span.end(at + 0.001); // Jaeger takes no length for a negative one
}

function known(name: string, value: string | number | undefined): Attributes {
  return value === undefined ? {} : { [name]: value };
}
