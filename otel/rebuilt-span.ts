import type { LedgerEvent } from "../streams/events.ts";
import type { SpanIds } from "../streams/trace-ids.ts";
import { NAMES, SYSTEM, spanName } from "./attributes.ts";

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

/** The task that a span is of. */
export function taskOf({ attributes }: RebuiltSpan): string {
  return String(attributes[NAMES.task]);
}

/** A span without length where a run was dispatched, or its slot fired. */
export function dispatchSpan(
  event: LedgerEvent<"run.enqueued">,
  ids: SpanIds,
  parentSpanId: string | undefined,
): RebuiltSpan {
  const { at, queue, run, task, schedule, slot, trigger } = event;
  const isFiring = schedule !== undefined && trigger !== "manual";
  return {
    ...idsOf(ids),
    parentSpanId,
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

/** What an event says of an error, when it tells of one. */
export function errorOf(event: LedgerEvent, outcome: string): RebuiltSpan["error"] {
  if (outcome !== "failed" && outcome !== "died") return undefined;
  const { error, reason } = event as Partial<LedgerEvent<"run.died">>;
  return { type: error?.type ?? reason ?? outcome, message: error?.message ?? reason ?? "", stack: error?.stack };
}

type Named = { readonly queue: string; readonly task: string; readonly run: string };

/** The attributes that spans of runs share. */
export function common(operation: string, type: string, { queue, task, run }: Named) {
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

/** An attribute, unless it is not known. */
export function only(name: string, value: string | number | undefined): Record<string, string | number> {
  return value === undefined ? {} : { [name]: value };
}

/** The ids alone. */
export function idsOf({ traceId, spanId }: SpanIds): SpanIds {
  return { traceId, spanId };
}
