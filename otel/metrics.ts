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
      if (notice.kind !== "events.recorded") return countNotice(meters, notice);
      const tally = createTally();
      for (const event of notice.events) countEvent({ meters, tally, queue: notice.queue }, event);
      tally.add();
    },
  };
}

type Meters = ReturnType<typeof createMeters>;

function createMeters(meter: Meter) {
  const known = createKnown();
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
    known,
    attributes: createSeries(known),
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
  const { queue, task } = sending;
  const record = (error?: string) => {
    const attributes = meters.attributes({ queue, task, operation: "enqueue", error });
    meters.operation.record((performance.now() - startedAt) / 1_000, attributes);
  };
  try {
    const sent = await next({});
    record();
    return sent;
  } catch (error) {
    record(typeOf(error));
    throw error;
  }
}

function typeOf(error: unknown): string {
  const { code, name } = (error ?? {}) as { code?: unknown; name?: unknown };
  return String(code ?? name ?? "unknown");
}

interface About {
  readonly queue: string;
  readonly task: string | undefined;
  readonly operation: string;
  readonly outcome?: string | undefined;
  readonly error?: string | undefined;
}

/** The attributes of a series, the same object for the same series. */
function createSeries(known: (attribute: string, value: string) => string): (about: About) => Attributes {
  const made = new Map<string, Attributes>();
  return ({ queue, task, operation, outcome, error }) => {
    const name = task === undefined ? undefined : known(NAMES.task, task);
    const type = error === undefined ? undefined : known(NAMES.errorType, error);
    const key = `${operation}\n${queue}\n${name}\n${outcome}\n${type}`;
    const found = made.get(key) ?? {
      [NAMES.system]: SYSTEM,
      [NAMES.operationName]: operation,
      [NAMES.destination]: queue,
      ...(name === undefined ? {} : { [NAMES.task]: name }),
      ...(outcome === undefined ? {} : { [NAMES.outcome]: outcome }),
      ...(type === undefined ? {} : { [NAMES.errorType]: type }),
    };
    made.set(key, found);
    return found;
  };
}

/** The counts of one batch of events: a counter is moved once for all that are alike, since each move costs as much as the rest. */
function createTally() {
  const counts = new Map<Counter, Map<Attributes, number>>();
  return {
    count(counter: Counter, attributes: Attributes): void {
      const of = counts.get(counter) ?? new Map<Attributes, number>();
      counts.set(counter, of);
      of.set(attributes, (of.get(attributes) ?? 0) + 1);
    },
    add(): void {
      for (const [counter, of] of counts) for (const [attributes, count] of of) counter.add(count, attributes);
    },
  };
}

interface Counting {
  readonly meters: Meters;
  readonly tally: ReturnType<typeof createTally>;
  readonly queue: string;
}

function countEvent({ meters, tally, queue }: Counting, event: Partial<LedgerEvent>): void {
  if (event.type === "run.enqueued") {
    tally.count(meters.sent, meters.attributes({ queue, task: event.task, operation: "enqueue" }));
    return;
  }
  if (event.type === "run.started") {
    const attributes = meters.attributes({ queue, task: event.task, operation: "process" });
    tally.count(meters.consumed, attributes);
    if (event.waitedMs !== undefined) meters.wait.record(event.waitedMs / 1_000, attributes);
    return;
  }
  const outcome = OUTCOMES[event.type ?? ""];
  if (outcome === undefined) return;
  const { error, durationMs, task } = event as Partial<LedgerEvent<"run.died">>;
  const attributes = meters.attributes({ queue, task, operation: "process", outcome, error: error?.type });
  if (durationMs !== undefined) meters.process.record(durationMs / 1_000, attributes);
  tally.count(event.type === "run.failed" ? meters.retries : meters.ended, attributes);
}

const OUTCOMES: Readonly<Record<string, string>> = {
  "run.succeeded": "succeeded",
  "run.failed": "failed",
  "run.died": "died",
  "run.cancelled": "cancelled",
  "run.skipped": "skipped",
};

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
