import type { LedgerEvent } from "../streams/events.ts";
import { GROUP, NAMES, SYSTEM, spanName } from "./attributes.ts";
import { idsOfAttempt, idsOfDispatch, type SpanIds } from "./ids.ts";
import { isChild, type Linkage, type Origin } from "./linkage.ts";
import { spanContextOf } from "./propagation.ts";

/** A span as it is rebuilt from the ledger. Instants in ms. */
export interface RebuiltSpan extends SpanIds {
  readonly parentSpanId?: string | undefined;
  readonly name: string;
  readonly kind: "producer" | "consumer" | "internal";
  readonly startMs: number;
  readonly endMs: number;
  readonly attributes: Readonly<Record<string, string | number | boolean>>;
  readonly links: readonly (SpanIds & { readonly relation: string })[];
  readonly error?: { readonly type: string; readonly message: string; readonly stack?: string | undefined } | undefined;
}

/** Rebuilds traces from history, one event at a time, in order. */
export interface Rebuilder {
  /** The spans that an event completes. */
  take(event: LedgerEvent): readonly RebuiltSpan[];
  /** True for an event of an attempt whose run was dispatched before anything that was taken: what came before is to be taken first. */
  isStrange(event: LedgerEvent): boolean;
  /** Attempts that had begun and not ended in what was read. */
  openCount(): number;
}

interface Known {
  readonly run: string;
  task: string;
  readonly queue: string;
  readonly dispatch: SpanIds;
  readonly enqueuedAt: number;
  readonly dueAt: number | undefined;
  readonly schedule: string | undefined;
  readonly redriveOf: string | undefined;
  readonly isOfMany: boolean;
  open: Open | undefined;
  previous: SpanIds | undefined;
}

interface Open {
  readonly ids: SpanIds;
  readonly parentSpanId: string | undefined;
  readonly links: RebuiltSpan["links"];
  readonly started: LedgerEvent<"run.started">;
}

type OfRun = LedgerEvent & { readonly run: string; readonly task: string };

/**
 * Spans have the ids that stand on their events: what a collector has already got, it gets again under the same name. Where none
 * stand, since nothing was traced at the time, they are derived from the run, its attempt and its delivery.
 */
export function createRebuilder(linkage: Linkage = "auto"): Rebuilder {
  const runs = new Map<string, Known>();
  const dispatches = new Set<string>();
  const dead = new Map<string, SpanIds>();
  const take = (event: LedgerEvent): readonly RebuiltSpan[] => {
    if (event.type === "run.enqueued") return takeEnqueued(event);
    if (!("run" in event) || event.run === undefined || !("task" in event)) return [];
    const known = runs.get(event.run) ?? strange(event as OfRun);
    runs.set(event.run, known);
    if (event.type === "run.started") {
      const lost = known.open === undefined ? [] : [close(known, event, "interrupted")];
      known.open = opened(known, event, linkage);
      return lost;
    }
    const outcome = OUTCOMES[event.type];
    if (outcome === undefined) return [];
    const spans = ended(known, event, outcome);
    if (outcome === "died" && known.previous !== undefined) dead.set(event.run, known.previous);
    if (ENDINGS.has(outcome)) runs.delete(event.run);
    return spans;
  };
  const takeEnqueued = (event: LedgerEvent<"run.enqueued">) => {
    const parent = runs.get(event.parent ?? "");
    const known = toKnown(event, { parent, previous: dead.get(event.redriveOf ?? "") });
    runs.set(event.run, known);
    if (event.redriveOf !== undefined && event.traceparent !== undefined) return []; // that of the run that died
    if (dispatches.has(known.dispatch.spanId)) return []; // one dispatch of many runs
    if (dispatches.size > MOST_DISPATCHES) dispatches.clear();
    dispatches.add(known.dispatch.spanId);
    return [dispatchSpan(event, known.dispatch, parent?.open)];
  };
  const isStrange = (event: LedgerEvent) =>
    (event.type === "run.started" || event.type in OUTCOMES) && "run" in event && !runs.has(event.run ?? "");
  return { take, isStrange, openCount: () => [...runs.values()].filter(({ open }) => open !== undefined).length };
}

/** The task that a span is of. */
export function taskOf({ attributes }: RebuiltSpan): string {
  return String(attributes[NAMES.task]);
}

/** Spans of dispatches that are remembered, so that one of many runs is told once. */
const MOST_DISPATCHES = 100_000;

const OUTCOMES: Readonly<Record<string, string>> = {
  "run.succeeded": "succeeded",
  "run.failed": "failed",
  "run.died": "died",
  "run.cancelled": "cancelled",
  "run.skipped": "skipped",
  "run.released": "interrupted",
  "run.redelivered": "interrupted",
  "run.recovered": "interrupted",
};
const ENDINGS = new Set(["succeeded", "died", "cancelled", "skipped"]);

interface Origins {
  readonly parent: Known | undefined;
  /** The last attempt of the run that it is a redrive of. */
  readonly previous: SpanIds | undefined;
}

function toKnown(event: LedgerEvent<"run.enqueued">, { parent, previous }: Origins): Known {
  const { run, task, queue, at, dueAt, schedule, redriveOf, isOfMany = false } = event;
  const said = spanContextOf(event);
  const isOfParent = said !== undefined && parent !== undefined && isSpanOf(parent, said);
  const own = idsOfDispatch(run);
  const dispatch = isOfParent ? { traceId: said.traceId, spanId: own.spanId } : (said ?? own);
  return {
    run,
    task,
    queue,
    dispatch,
    enqueuedAt: at,
    dueAt,
    schedule,
    redriveOf,
    isOfMany,
    open: undefined,
    previous,
  };
}

/** A handler that traced nothing handed on the context that it had: that is no span of a dispatch. */
function isSpanOf({ dispatch, open }: Known, { spanId }: SpanIds): boolean {
  return spanId === dispatch.spanId || spanId === open?.ids.spanId;
}

/** A run that was dispatched before what is read. */
function strange({ run, task, queue, at }: OfRun): Known {
  const dispatch = idsOfDispatch(run);
  const unknown = { dueAt: undefined, schedule: undefined, redriveOf: undefined, open: undefined, previous: undefined };
  return { run, task, queue, dispatch, enqueuedAt: at, isOfMany: false, ...unknown };
}

function dispatchSpan(event: LedgerEvent<"run.enqueued">, ids: SpanIds, parent: Open | undefined): RebuiltSpan {
  const { at, queue, run, task, schedule, slot, trigger } = event;
  const isFiring = schedule !== undefined && trigger !== "manual";
  return {
    ...idsOf(ids),
    parentSpanId: parent?.ids.traceId === ids.traceId ? parent.ids.spanId : undefined,
    name: isFiring ? spanName.fire(schedule) : spanName.enqueue(queue),
    kind: isFiring ? "internal" : "producer",
    startMs: at,
    endMs: at,
    attributes: {
      ...common("enqueue", "send", { queue, task, run }),
      ...only(NAMES.schedule, schedule),
      ...only(NAMES.slot, slot === undefined ? undefined : new Date(slot).toISOString()),
      ...only(NAMES.trigger, trigger),
      ...only(NAMES.redriveOf, event.redriveOf),
    },
    links: [],
  };
}

/** The span that an attempt begins. A worker that traced nothing handed on the context of the dispatch: that is no span of its own. */
function opened(known: Known, started: LedgerEvent<"run.started">, linkage: Linkage): Open {
  const said = spanContextOf(started);
  const own = said === undefined || said.spanId === known.dispatch.spanId ? undefined : said;
  const { attempt, delivery } = started;
  const origin: Origin = { ...known, attempt, delivery, carrier: {} };
  const isInTrace = own === undefined ? isChild(origin, linkage) : own.traceId === known.dispatch.traceId;
  const derived = idsOfAttempt(origin);
  const ids = own ?? { spanId: derived.spanId, traceId: isInTrace ? known.dispatch.traceId : derived.traceId };
  const links = [
    ...(isInTrace ? [] : [{ ...idsOf(known.dispatch), relation: "dispatch" }]),
    ...(known.previous === undefined ? [] : [{ ...idsOf(known.previous), relation: "previous attempt" }]),
  ];
  known.previous = idsOf(ids);
  return { ids: idsOf(ids), parentSpanId: isInTrace ? known.dispatch.spanId : undefined, links, started };
}

function ended(known: Known, event: LedgerEvent, outcome: string): RebuiltSpan[] {
  if (known.open !== undefined) return [close(known, event, outcome)];
  if (outcome !== "died" && outcome !== "skipped") return [];
  // It ended without a handler's turn: a span without length, in the trace of its dispatch.
  const { run, task, queue, dispatch } = known;
  const attributes = { ...common("process", "process", { queue, task, run }), [NAMES.outcome]: outcome };
  const { spanId } = idsOfAttempt({ run, attempt: 0, delivery: 0 });
  const place = { traceId: dispatch.traceId, spanId, parentSpanId: dispatch.spanId };
  const what = { name: spanName.process(queue), kind: "consumer", startMs: event.at, endMs: event.at } as const;
  return [{ ...place, ...what, attributes, links: [], error: errorOf(event, outcome) }];
}

function close(known: Known, event: LedgerEvent, outcome: string): RebuiltSpan {
  const { ids, parentSpanId, links, started } = known.open as Open;
  known.open = undefined;
  const { queue, task, run } = known;
  const { durationMs } = event as { durationMs?: number };
  return {
    ...ids,
    parentSpanId,
    name: spanName.process(queue),
    kind: "consumer",
    startMs: started.at,
    endMs: durationMs === undefined ? event.at : started.at + durationMs,
    attributes: {
      ...common("process", "process", { queue, task, run }),
      [NAMES.group]: GROUP,
      [NAMES.attempt]: started.attempt,
      [NAMES.delivery]: started.delivery,
      [NAMES.worker]: started.worker,
      [NAMES.outcome]: outcome,
      ...only(NAMES.schedule, started.schedule),
      ...only(NAMES.slot, started.slot === undefined ? undefined : new Date(started.slot).toISOString()),
      ...only(NAMES.waitMs, started.waitedMs),
    },
    links,
    error: errorOf(event, outcome),
  };
}

function errorOf(event: LedgerEvent, outcome: string): RebuiltSpan["error"] {
  if (outcome !== "failed" && outcome !== "died") return undefined;
  const { error, reason } = event as Partial<LedgerEvent<"run.died">>;
  return { type: error?.type ?? reason ?? outcome, message: error?.message ?? reason ?? "", stack: error?.stack };
}

type Named = { readonly queue: string; readonly task: string; readonly run: string };

function common(operation: string, type: string, { queue, task, run }: Named) {
  return {
    [NAMES.system]: SYSTEM,
    [NAMES.operationName]: operation,
    [NAMES.operationType]: type,
    [NAMES.destination]: queue,
    [NAMES.messageId]: run,
    [NAMES.run]: run,
    [NAMES.task]: task,
    [NAMES.rebuilt]: true,
  };
}

function only(name: string, value: string | number | undefined): Record<string, string | number> {
  return value === undefined ? {} : { [name]: value };
}

function idsOf({ traceId, spanId }: SpanIds): SpanIds {
  return { traceId, spanId };
}
