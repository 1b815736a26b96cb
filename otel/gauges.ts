import { monitorEventLoopDelay } from "node:perf_hooks";
import { type Meter, type MeterProvider, metrics, type ObservableGauge } from "@opentelemetry/api";
import { METRICS, NAMES, SCOPE } from "./attributes.ts";

/** How a queue stands when it is looked at. */
export interface LaneReading {
  readonly queue: string;
  /** Entries that wait for a worker. */
  readonly backlog: number;
  /** Entries in the hands of workers. */
  readonly pending: number;
  readonly scheduled: number;
  readonly dead: number;
  readonly workers: number;
  /** How long the oldest entry has waited, in ms. */
  readonly oldestWaitMs: number;
  /** How long the lease lasts that ends first, in ms; negative: it has lapsed. Undefined: nobody holds one. */
  readonly leaseLeftMs: number | undefined;
}

/** What is measured, and where it goes. */
export interface GaugeOptions {
  /** Asked whenever metrics are collected. What it throws leaves that collection without lanes. */
  readonly lanes?: (() => Promise<readonly LaneReading[]>) | undefined;
  /** Default: the provider that the SDK has registered. */
  readonly provider?: MeterProvider | undefined;
}

/** Measures the event loop's delay, and how lanes stand, whenever metrics are collected. Ends when it is disposed of. */
export function measure({ lanes, provider = metrics.getMeterProvider() }: GaugeOptions = {}): Disposable {
  const meter = provider.getMeter(SCOPE);
  const stops = [measureLoop(meter), ...(lanes === undefined ? [] : [measureLanes(meter, lanes)])];
  return {
    [Symbol.dispose]() {
      for (const stop of stops) stop();
    },
  };
}

/** The delay of the event loop since the last collection, by percentile. */
function measureLoop(meter: Meter): () => void {
  const histogram = monitorEventLoopDelay({ resolution: 10 });
  histogram.enable();
  const gauges = ([50, 90, 99, 100] as const).map((percentile) => ({
    percentile,
    gauge: gaugeOf(meter, `${METRICS.loopDelay}.${percentile === 100 ? "max" : `p${percentile}`}`, "s"),
  }));
  const look = (set: Set) => {
    if (histogram.count === 0) return;
    for (const { percentile, gauge } of gauges) set(gauge, histogram.percentile(percentile) / 1e9, {});
    histogram.reset();
  };
  const stop = observe(meter, { gauges: gauges.map(({ gauge }) => gauge), look });
  return () => {
    stop();
    histogram.disable();
  };
}

const LANE_GAUGES = [
  [METRICS.backlog, "{entry}", (lane: LaneReading) => lane.backlog],
  [METRICS.pending, "{entry}", (lane: LaneReading) => lane.pending],
  [METRICS.scheduled, "{run}", (lane: LaneReading) => lane.scheduled],
  [METRICS.dead, "{run}", (lane: LaneReading) => lane.dead],
  [METRICS.workers, "{worker}", (lane: LaneReading) => lane.workers],
  [METRICS.oldest, "s", (lane: LaneReading) => lane.oldestWaitMs / 1_000],
  [
    METRICS.leaseLeft,
    "s",
    (lane: LaneReading) => (lane.leaseLeftMs === undefined ? undefined : lane.leaseLeftMs / 1_000),
  ],
] as const;

function measureLanes(meter: Meter, read: () => Promise<readonly LaneReading[]>): () => void {
  const gauges = LANE_GAUGES.map(([name, unit, value]) => ({ gauge: gaugeOf(meter, name, unit), value }));
  const look = async (set: Set) => {
    for (const lane of await read()) {
      const attributes = { [NAMES.destination]: lane.queue };
      for (const { gauge, value } of gauges) set(gauge, value(lane), attributes);
    }
  };
  return observe(meter, { gauges: gauges.map(({ gauge }) => gauge), look });
}

function gaugeOf(meter: Meter, name: string, unit: string): ObservableGauge {
  return meter.createObservableGauge(name, { unit });
}

type Set = (gauge: ObservableGauge, value: number | undefined, attributes: Record<string, string>) => void;

interface Watch {
  readonly gauges: ObservableGauge[];
  readonly look: (set: Set) => void | Promise<void>;
}

/** Has gauges set whenever metrics are collected. Returns what ends it. */
function observe(meter: Meter, { gauges, look }: Watch): () => void {
  const callback: Parameters<Meter["addBatchObservableCallback"]>[0] = (result) =>
    look((gauge, value, attributes) => {
      if (value !== undefined) result.observe(gauge, value, attributes);
    });
  meter.addBatchObservableCallback(callback, gauges);
  return () => meter.removeBatchObservableCallback(callback, gauges);
}
