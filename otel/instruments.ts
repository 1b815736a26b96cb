import type { Attributes, Counter, Meter } from "@opentelemetry/api";

/**
 * Boundaries of buckets in seconds: those that the conventions advise, and more at both ends, since some tasks are done within a millisecond
 * and others take longer than any message does.
 */
export const BOUNDARIES: readonly number[] = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 30, 60, 300, 1_800,
];

/** Makes what is counted and timed. Callers pass the same attributes object for the same series. */
export interface Instruments {
  counter(name: string, unit: string): (count: number, attributes: Attributes) => void;
  /** Times in seconds. */
  timer(name: string): (seconds: number, attributes: Attributes) => void;
  /** Called after each batch of counts. */
  flush(): void;
}

/** Instruments of an SDK. Counts are held back until they are flushed, and those that are alike are one call: each costs as much as the rest. */
export function instrumentsOf(meter: Meter): Instruments {
  const held = new Map<Counter, Map<Attributes, number>>();
  return {
    counter(name, unit) {
      const counter = meter.createCounter(name, { unit });
      const counts = new Map<Attributes, number>();
      held.set(counter, counts);
      return (count, attributes) => {
        counts.set(attributes, (counts.get(attributes) ?? 0) + count);
      };
    },
    timer(name) {
      const advice = { explicitBucketBoundaries: [...BOUNDARIES] };
      const histogram = meter.createHistogram(name, { unit: "s", advice });
      return (seconds, attributes) => histogram.record(seconds, attributes);
    },
    flush() {
      for (const [counter, counts] of held) {
        if (counts.size === 0) continue;
        for (const [attributes, count] of counts) counter.add(count, attributes);
        counts.clear();
      }
    },
  };
}
