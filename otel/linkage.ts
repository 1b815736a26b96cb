import { type Link, TraceFlags } from "@opentelemetry/api";
import type { Execution } from "../src/middleware.ts";
import { idsOfAttempt } from "../streams/trace-ids.ts";
import { NAMES } from "./attributes.ts";
import { linkTo, spanContextOf } from "./propagation.ts";

/**
 * How a run's span hangs on that of its dispatch. `"parent"`: always its child. `"link"`: always a trace of its own that links to it.
 * `"auto"`: a child when it is the first attempt of a run that was dispatched alone, to run at once. A link for delayed, retried, redelivered,
 * cron and redriven runs, whose parent's trace has long been closed by then, and for runs dispatched together: thousands
 * in one trace are no use to anybody, and would all be sampled or none.
 */
export type Linkage = "auto" | "parent" | "link";

/** What the decision is made from. */
export type Origin = Pick<
  Execution,
  "run" | "attempt" | "delivery" | "enqueuedAt" | "dueAt" | "schedule" | "redriveOf" | "isOfMany" | "carrier"
>;

/** A run that is due this much later than it was dispatched counts as delayed, in ms. */
const DELAYED_MS = 30_000;

/** True when the span of an attempt is a child of its dispatch's. */
export function isChild(origin: Origin, linkage: Linkage): boolean {
  if (linkage !== "auto") return linkage === "parent";
  const { attempt, delivery, dueAt, enqueuedAt, schedule, redriveOf, isOfMany } = origin;
  if (attempt > 1 || delivery > 1 || isOfMany || schedule !== undefined || redriveOf !== undefined) return false;
  return dueAt === undefined || dueAt - enqueuedAt <= DELAYED_MS;
}

/** Where an attempt came from, as links: its dispatch, unless that is the parent, and the attempt before. */
export function linksOf(execution: Execution, linkage: Linkage): Link[] {
  const { carrier, previous } = execution;
  return [...(isChild(execution, linkage) ? [] : linkTo(carrier, "dispatch")), ...linkTo(previous, "previous attempt")];
}

/**
 * A link to the delivery before of the same attempt: the worker that held it may have been killed before it could say anything, but its
 * span's ids follow from what it was.
 */
export function linkToDelivery(origin: Origin, linkage: Linkage): Link | undefined {
  if (origin.delivery < 2) return undefined;
  const before = { ...origin, delivery: origin.delivery - 1 };
  const { traceId, spanId } = idsOfAttempt(before);
  const dispatch = isChild(before, linkage) ? spanContextOf(origin.carrier) : undefined;
  return {
    context: { traceId: dispatch?.traceId ?? traceId, spanId, traceFlags: TraceFlags.SAMPLED, isRemote: true },
    attributes: { [NAMES.link]: "previous delivery" },
  };
}
