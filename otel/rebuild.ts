import type { LedgerEvent } from "../streams/events.ts";
import { idsOfAttempt, idsOfDispatch, type SpanIds } from "../streams/trace-ids.ts";
import { GROUP, NAMES, spanName } from "./attributes.ts";
import { isChild, type Linkage, type Origin } from "./linkage.ts";
import { spanContextOf } from "./propagation.ts";
import { common, dispatchSpan, errorOf, idsOf, only, type RebuiltSpan } from "./rebuilt-span.ts";

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
  const attempts = new Set<string>();
  const dead = new Map<string, SpanIds>();
  const take = (event: LedgerEvent): readonly RebuiltSpan[] => {
    if (event.type === "run.enqueued") return takeEnqueued(event);
    if (!("run" in event) || event.run === undefined || !("task" in event)) return [];
    const known = runs.get(event.run) ?? strange(event as OfRun);
    runs.set(event.run, known);
    if (event.type === "run.started") {
      const lost = known.open === undefined ? [] : [close(known, event, "interrupted")];
      known.open = opened(known, event, linkage);
      remember(attempts, known.open.ids.spanId);
      return lost;
    }
    const outcome = OUTCOMES[event.type];
    if (outcome === undefined) return [];
    const spans = ended(known, event, outcome);
    if (outcome === "died" && known.previous !== undefined) {
      if (dead.size > MOST_REMEMBERED) dead.clear();
      dead.set(event.run, known.previous);
    }
    if (ENDINGS.has(outcome)) runs.delete(event.run);
    return spans;
  };
  const takeEnqueued = (event: LedgerEvent<"run.enqueued">) => {
    const parent = runs.get(event.parent ?? "");
    const known = toKnown(event, { parent, attempts, previous: dead.get(event.redriveOf ?? "") });
    runs.set(event.run, known);
    if (event.redriveOf !== undefined && event.traceparent !== undefined) return []; // that of the run that died
    if (dispatches.has(known.dispatch.spanId)) return []; // one dispatch of many runs
    remember(dispatches, known.dispatch.spanId);
    const said = spanContextOf(event)?.spanId ?? "";
    const isBelow = parent?.open?.ids.traceId === known.dispatch.traceId;
    return [
      dispatchSpan(event, known.dispatch, isBelow ? parent.open?.ids.spanId : attempts.has(said) ? said : undefined),
    ];
  };
  const isStrange = (event: LedgerEvent) =>
    (event.type === "run.started" || event.type in OUTCOMES) && "run" in event && !runs.has(event.run ?? "");
  return { take, isStrange, openCount: () => [...runs.values()].filter(({ open }) => open !== undefined).length };
}

/** Spans that are remembered: of dispatches, so that one of many runs is told once, of attempts, and of those that the dead made last. */
const MOST_REMEMBERED = 100_000;

function remember(spans: Set<string>, spanId: string): void {
  if (spans.size > MOST_REMEMBERED) spans.clear();
  spans.add(spanId);
}

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
  /** Spans of attempts, by their ids: whose events were published by one begin below it, without a dispatch of their own. */
  readonly attempts: ReadonlySet<string>;
  /** The last attempt of the run that it is a redrive of. */
  readonly previous: SpanIds | undefined;
}

function toKnown(event: LedgerEvent<"run.enqueued">, { parent, attempts, previous }: Origins): Known {
  const { run, task, queue, at, dueAt, schedule, redriveOf, isOfMany = false } = event;
  const said = spanContextOf(event);
  const isOfParent = said !== undefined && (isSpanOf(parent, said) || attempts.has(said.spanId));
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
function isSpanOf(parent: Known | undefined, { spanId }: SpanIds): boolean {
  return spanId === parent?.dispatch.spanId || spanId === parent?.open?.ids.spanId;
}

/** A run that was dispatched before what is read. */
function strange({ run, task, queue, at }: OfRun): Known {
  const dispatch = idsOfDispatch(run);
  const unknown = { dueAt: undefined, schedule: undefined, redriveOf: undefined, open: undefined, previous: undefined };
  return { run, task, queue, dispatch, enqueuedAt: at, isOfMany: false, ...unknown };
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
