import { type MeterProvider, metrics } from "@opentelemetry/api";
import type { Hook, Middleware, Notice, Sending, Sent, TellPlain } from "../src/middleware.ts";
import type { LedgerEvent } from "../streams/events.ts";
import { METRICS, SCOPE } from "./attributes.ts";
import { type Instruments, instrumentsOf } from "./instruments.ts";
import { createSeries, type Series } from "./series.ts";

/** Where metrics go. */
export interface MeteringOptions {
  /** Default: the provider that the SDK has registered. */
  readonly provider?: MeterProvider | undefined;
  /** What counts, in the place of the provider's instruments. */
  readonly instruments?: Instruments | undefined;
}

/** Counts and times what the engine tells. Attributes are queues, tasks, outcomes and error types: never runs, workers or inputs. */
export function metering({ provider, instruments }: MeteringOptions = {}): Middleware {
  const made = instruments ?? instrumentsOf((provider ?? metrics.getMeterProvider()).getMeter(SCOPE));
  const meters = createMeters(made);
  return {
    name: "tasktrail.metering",
    send: (sending) => timeSend(meters, sending),
    notice(notice) {
      if (notice.kind !== "events.recorded") countNotice(meters, notice);
      else if (notice.isPlain === true && notice.eachPlain !== undefined)
        countPlain(meters, notice.queue, (tell) => notice.eachPlain?.(tell));
      else for (const event of notice.events) countEvent(meters, event, notice.queue);
      made.flush();
    },
  };
}

type Meters = ReturnType<typeof createMeters>;

function createMeters({ counter, timer }: Instruments) {
  return {
    sent: counter(METRICS.sent, "{message}"),
    consumed: counter(METRICS.consumed, "{message}"),
    operation: timer(METRICS.operation),
    process: timer(METRICS.process),
    wait: timer(METRICS.wait),
    ended: counter(METRICS.ended, "{run}"),
    retries: counter(METRICS.retries, "{attempt}"),
    redelivered: counter(METRICS.redelivered, "{entry}"),
    leasesLost: counter(METRICS.leasesLost, "{lease}"),
    refused: counter(METRICS.refused, "{outcome}"),
    lateness: timer(METRICS.lateness),
    missed: counter(METRICS.missed, "{slot}"),
    projected: counter(METRICS.projected, "{event}"),
    projection: timer(METRICS.projection),
    lag: timer(METRICS.lag),
    series: createSeries(),
  };
}

function timeSend(meters: Meters, { queue, task }: Sending): Hook<Sent> {
  const startedAt = performance.now();
  const { enqueue } = meters.series.ofTask(queue, task);
  return {
    end(sent) {
      const attributes = "error" in sent ? enqueue.failed(typeOf(sent.error)) : enqueue.plain;
      meters.operation((performance.now() - startedAt) / 1_000, attributes);
    },
  };
}

function typeOf(error: unknown): string {
  const { code, name } = (error ?? {}) as { code?: unknown; name?: unknown };
  return String(code ?? name ?? "unknown");
}

/** Starts and successes, which nearly all are, without their events. */
function countPlain(meters: Meters, queue: string, each: (tell: TellPlain) => void): void {
  each((task, waitedMs, durationMs) => {
    const series = meters.series.ofTask(queue, task);
    if (waitedMs !== undefined) {
      meters.consumed(1, series.process.plain);
      meters.wait(waitedMs / 1_000, series.process.plain);
    }
    if (durationMs === undefined) return;
    const attributes = series.ended("succeeded", undefined);
    meters.process(durationMs / 1_000, attributes);
    meters.ended(1, attributes);
  });
}

function countEvent(meters: Meters, event: Partial<LedgerEvent>, queue: string): void {
  if (event.type === "run.started") {
    const { plain } = meters.series.ofTask(queue, event.task).process;
    meters.consumed(1, plain);
    if (event.waitedMs !== undefined) meters.wait(event.waitedMs / 1_000, plain);
  } else if (event.type === "run.enqueued") {
    meters.sent(1, meters.series.ofTask(queue, event.task).enqueue.plain);
  } else {
    const outcome = OUTCOMES.get(event.type);
    if (outcome !== undefined) countOutcome(meters, event, { queue, outcome });
  }
}

const OUTCOMES: ReadonlyMap<string | undefined, string> = new Map([
  ["run.succeeded", "succeeded"],
  ["run.failed", "failed"],
  ["run.died", "died"],
  ["run.cancelled", "cancelled"],
  ["run.skipped", "skipped"],
]);

interface Came {
  readonly queue: string;
  readonly outcome: string;
}

function countOutcome(meters: Meters, event: Partial<LedgerEvent>, { queue, outcome }: Came): void {
  const { task, error, durationMs } = event as Partial<LedgerEvent<"run.died">>;
  const attributes = meters.series.ofTask(queue, task).ended(outcome, error?.type);
  if (durationMs !== undefined) meters.process(durationMs / 1_000, attributes);
  if (event.type === "run.failed") meters.retries(1, attributes);
  else meters.ended(1, attributes);
}

function countNotice(meters: Meters, notice: Exclude<Notice, { kind: "events.recorded" }>): void {
  const { series } = meters;
  switch (notice.kind) {
    case "entries.reclaimed":
    case "entries.recovered":
    case "entries.received_again":
      meters.redelivered(notice.count, series.ofRedelivery(notice.queue, notice.kind.slice("entries.".length)));
      break;
    case "lease.lost":
      meters.leasesLost(1, series.ofQueue(notice.queue));
      break;
    case "run.refused":
      meters.refused(1, series.ofRefusal(notice.task));
      break;
    case "slot.fired":
      meters.lateness(notice.lateMs / 1_000, series.ofSchedule(notice.schedule));
      break;
    case "slot.missed":
      meters.missed(notice.count ?? 1, series.ofSchedule(notice.schedule));
      break;
    case "batch.projected":
      countBatch(meters, notice, series);
  }
}

function countBatch(meters: Meters, batch: Extract<Notice, { kind: "batch.projected" }>, series: Series): void {
  const attributes = series.ofQueue(batch.queue);
  meters.projected(batch.events, attributes);
  meters.projection(batch.tookMs / 1_000, attributes);
  if (batch.lagMs !== undefined) meters.lag(batch.lagMs / 1_000, attributes);
}
