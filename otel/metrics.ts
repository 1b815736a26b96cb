import {
  type Attributes,
  type Counter,
  type Histogram,
  type Meter,
  type MeterProvider,
  metrics,
} from "@opentelemetry/api";
import type { Carrier, Middleware, Notice, Sending } from "../src/middleware.ts";
import type { LedgerEvent } from "../streams/events.ts";
import { METRICS, NAMES, SCOPE, SYSTEM } from "./attributes.ts";

/** Where metrics go. */
export interface MeteringOptions {
  /** Default: the provider that the SDK has registered. */
  readonly provider?: MeterProvider | undefined;
}

/** Boundaries in seconds: those that the conventions advise, and beyond them, since jobs take longer than messages do. */
const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 30, 60, 300, 1_800];
/** Different tasks, schedules or error types that an attribute tells apart; what comes after them is `other`. */
const MOST_VALUES = 200;

/** Counts and times what the engine tells. Attributes are queues, tasks, outcomes and error types: never runs, workers or inputs. */
export function metering({ provider = metrics.getMeterProvider() }: MeteringOptions = {}): Middleware {
  const meters = createMeters(provider.getMeter(SCOPE));
  return {
    name: "tasktrail.metering",
    send: (sending, next) => timeSend(meters, sending, next),
    notice(notice) {
      if (notice.kind !== "events.recorded") countNotice(meters, notice);
      else for (const event of notice.events) countEvent(meters, event, notice.queue);
    },
  };
}

type Meters = ReturnType<typeof createMeters>;

function createMeters(meter: Meter) {
  const counter = (name: string, unit: string): Counter => meter.createCounter(name, { unit });
  const seconds = (name: string): Histogram =>
    meter.createHistogram(name, { unit: "s", advice: { explicitBucketBoundaries: SECONDS } });
  return {
    sent: counter(METRICS.sent, "{message}"),
    consumed: counter(METRICS.consumed, "{message}"),
    operation: seconds(METRICS.operation),
    process: seconds(METRICS.process),
    wait: seconds(METRICS.wait),
    ended: counter(METRICS.ended, "{run}"),
    retries: counter(METRICS.retries, "{attempt}"),
    redelivered: counter(METRICS.redelivered, "{entry}"),
    leasesLost: counter(METRICS.leasesLost, "{lease}"),
    refused: counter(METRICS.refused, "{outcome}"),
    lateness: seconds(METRICS.lateness),
    missed: counter(METRICS.missed, "{slot}"),
    projected: counter(METRICS.projected, "{event}"),
    projection: seconds(METRICS.projection),
    lag: seconds(METRICS.lag),
    known: createKnown(),
  };
}

/** Keeps the values of an attribute few: a stranger's entry may name any task. */
function createKnown(): (attribute: string, value: string) => string {
  const seen = new Map<string, Set<string>>();
  return (attribute, value) => {
    const values = seen.get(attribute) ?? new Set();
    seen.set(attribute, values);
    if (values.has(value)) return value;
    if (values.size >= MOST_VALUES) return "other";
    values.add(value);
    return value;
  };
}

async function timeSend<T>(meters: Meters, sending: Sending, next: (carrier: Carrier) => Promise<T>): Promise<T> {
  const startedAt = performance.now();
  const attributes = attributesOf(meters, sending, "enqueue");
  try {
    return await next({});
  } catch (error) {
    attributes[NAMES.errorType] = meters.known(NAMES.errorType, typeOf(error));
    throw error;
  } finally {
    meters.operation.record((performance.now() - startedAt) / 1_000, attributes);
  }
}

function typeOf(error: unknown): string {
  const { code, name } = (error ?? {}) as { code?: unknown; name?: unknown };
  return String(code ?? name ?? "unknown");
}

function attributesOf(meters: Meters, of: { queue: string; task?: string }, operation: string): Attributes {
  const attributes: Attributes = {
    [NAMES.system]: SYSTEM,
    [NAMES.operationName]: operation,
    [NAMES.destination]: of.queue,
  };
  if (of.task !== undefined) attributes[NAMES.task] = meters.known(NAMES.task, of.task);
  return attributes;
}

function countEvent(meters: Meters, event: Partial<LedgerEvent>, queue: string): void {
  if (event.type === "run.enqueued") {
    meters.sent.add(1, attributesOf(meters, { queue, ...named(event.task) }, "enqueue"));
    return;
  }
  if (event.type === "run.started") {
    const attributes = attributesOf(meters, { queue, ...named(event.task) }, "process");
    meters.consumed.add(1, attributes);
    if (event.waitedMs !== undefined) meters.wait.record(event.waitedMs / 1_000, attributes);
    return;
  }
  const outcome = OUTCOMES[event.type ?? ""];
  if (outcome !== undefined) countOutcome(meters, event as Outcome, { queue, outcome });
}

const OUTCOMES: Readonly<Record<string, string>> = {
  "run.succeeded": "succeeded",
  "run.failed": "failed",
  "run.died": "died",
  "run.cancelled": "cancelled",
  "run.skipped": "skipped",
};

type Outcome = Partial<
  LedgerEvent<"run.succeeded"> | LedgerEvent<"run.failed"> | LedgerEvent<"run.died"> | LedgerEvent<"run.cancelled">
>;

function countOutcome(meters: Meters, event: Outcome, { queue, outcome }: { queue: string; outcome: string }): void {
  const attributes = attributesOf(meters, { queue, ...named(event.task) }, "process");
  attributes[NAMES.outcome] = outcome;
  if ("error" in event && event.error !== undefined) {
    attributes[NAMES.errorType] = meters.known(NAMES.errorType, event.error.type);
  }
  if (event.durationMs !== undefined) meters.process.record(event.durationMs / 1_000, attributes);
  if (event.type === "run.failed") meters.retries.add(1, attributes);
  else meters.ended.add(1, attributes);
}

function named(task: string | undefined): { task?: string } {
  return task === undefined ? {} : { task };
}

function countNotice(meters: Meters, notice: Exclude<Notice, { kind: "events.recorded" }>): void {
  switch (notice.kind) {
    case "entries.reclaimed":
    case "entries.recovered":
    case "entries.received_again": {
      const how = notice.kind.slice("entries.".length);
      meters.redelivered.add(notice.count, { [NAMES.destination]: notice.queue, [NAMES.how]: how });
      break;
    }
    case "lease.lost":
      meters.leasesLost.add(1, { [NAMES.destination]: notice.queue });
      break;
    case "run.refused":
      meters.refused.add(1, { [NAMES.task]: meters.known(NAMES.task, notice.task) });
      break;
    case "slot.fired":
      meters.lateness.record(notice.lateMs / 1_000, scheduleOf(meters, notice.schedule));
      break;
    case "slot.missed":
      meters.missed.add(notice.count ?? 1, scheduleOf(meters, notice.schedule));
      break;
    case "batch.projected":
      countBatch(meters, notice);
  }
}

function countBatch(
  meters: Meters,
  { queue, events, tookMs, lagMs }: Extract<Notice, { kind: "batch.projected" }>,
): void {
  const attributes = { [NAMES.destination]: queue };
  meters.projected.add(events, attributes);
  meters.projection.record(tookMs / 1_000, attributes);
  if (lagMs !== undefined) meters.lag.record(lagMs / 1_000, attributes);
}

function scheduleOf(meters: Meters, schedule: string): Attributes {
  return { [NAMES.schedule]: meters.known(NAMES.schedule, schedule) };
}
