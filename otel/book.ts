import { type Attributes, type HrTime, ValueType } from "@opentelemetry/api";
import {
  AggregationTemporality,
  type DataPoint,
  DataPointType,
  type Histogram,
  type MetricData,
  type MetricProducer,
} from "@opentelemetry/sdk-metrics";
import { SCOPE } from "./attributes.ts";
import { BOUNDARIES, type Instruments } from "./instruments.ts";

/** Counts and times that are kept here, and read whenever metrics are collected. */
export interface Book {
  readonly instruments: Instruments;
  /** What a reader asks. `isDelta`: what has come since it asked last, instead of all. */
  producer(options?: { readonly isDelta?: boolean }): MetricProducer;
}

/** One series of a metric. */
interface Cell {
  count: number;
  sum: number;
  min: number;
  max: number;
  /** How many fell into each bucket; none for what is only counted. */
  readonly buckets: number[];
}

interface Page {
  readonly name: string;
  readonly unit: string;
  readonly isTimed: boolean;
  readonly cells: Map<Attributes, Cell>;
}

/**
 * Keeps counts and histograms itself: an instrument of the SDK sorts and writes out the attributes at each call, which at two histograms a
 * run is a tenth of what a run costs. Here a series is known by its attributes object, which must be the same one each time.
 */
export function openBook(now: () => number = Date.now): Book {
  const pages: Page[] = [];
  const startMs = now();
  const page = (name: string, unit: string, isTimed: boolean): Page => {
    const made: Page = { name, unit, isTimed, cells: new Map() };
    pages.push(made);
    return made;
  };
  return {
    instruments: {
      counter(name, unit) {
        const find = finderOf(page(name, unit, false), 0);
        return (count, attributes) => {
          find(attributes).count += count;
        };
      },
      timer(name) {
        const find = finderOf(page(name, "s", true), BOUNDARIES.length + 1);
        return (seconds, attributes) => note(find(attributes), seconds);
      },
      flush() {},
    },
    producer: ({ isDelta = false } = {}) => createProducer(pages, { isDelta, startMs, now }),
  };
}

/** Finds a series' cell. Events come in batches that are mostly of one task, so that it is mostly the one that was found last. */
function finderOf({ cells }: Page, bucketCount: number): (attributes: Attributes) => Cell {
  let last: Attributes | undefined;
  let found: Cell | undefined;
  return (attributes) => {
    if (found === undefined || last !== attributes) found = cellOf(cells, attributes, bucketCount);
    last = attributes;
    return found;
  };
}

function cellOf(cells: Page["cells"], attributes: Attributes, bucketCount: number): Cell {
  let cell = cells.get(attributes);
  if (cell === undefined) {
    const buckets = new Array<number>(bucketCount).fill(0);
    cell = { count: 0, sum: 0, min: Number.POSITIVE_INFINITY, max: Number.NEGATIVE_INFINITY, buckets };
    cells.set(attributes, cell);
  }
  return cell;
}

/** A boundary belongs to the bucket below it. */
function note(cell: Cell, value: number): void {
  let at = 0;
  while (at < BOUNDARIES.length && value > (BOUNDARIES[at] as number)) at += 1;
  cell.buckets[at] = (cell.buckets[at] as number) + 1;
  cell.count += 1;
  cell.sum += value;
  if (value < cell.min) cell.min = value;
  if (value > cell.max) cell.max = value;
}

interface Reading {
  readonly isDelta: boolean;
  readonly startMs: number;
  readonly now: () => number;
}

function createProducer(pages: readonly Page[], { isDelta, startMs, now }: Reading): MetricProducer {
  const told = new Map<Cell, Cell>();
  let since = startMs;
  return {
    async collect() {
      const times = { startTime: hrTime(since), endTime: hrTime(now()) };
      const metrics = pages.flatMap((page) => {
        const points = [...page.cells].flatMap(([attributes, cell]) => {
          const read = isDelta ? difference(cell, told.get(cell)) : cell;
          if (isDelta) told.set(cell, { ...cell, buckets: [...cell.buckets] });
          return read.count === 0 ? [] : [{ attributes, cell: read, ...times }];
        });
        return points.length === 0 ? [] : [toMetric(page, points, isDelta)];
      });
      if (isDelta) since = now();
      // A reader takes what is here, and the resource from the SDK.
      const resourceMetrics = { scopeMetrics: [{ scope: { name: SCOPE }, metrics }] };
      return { resourceMetrics: resourceMetrics as never, errors: [] };
    },
  };
}

/** Least and most of a stretch are not known: they are left out. */
function difference(cell: Cell, before: Cell | undefined): Cell {
  if (before === undefined) return cell;
  return {
    count: cell.count - before.count,
    sum: cell.sum - before.sum,
    min: Number.POSITIVE_INFINITY,
    max: Number.NEGATIVE_INFINITY,
    buckets: cell.buckets.map((count, at) => count - (before.buckets[at] as number)),
  };
}

type Point = Omit<DataPoint<unknown>, "value"> & { readonly cell: Cell };

function toMetric({ name, unit, isTimed }: Page, points: readonly Point[], isDelta: boolean): MetricData {
  const aggregationTemporality = isDelta ? AggregationTemporality.DELTA : AggregationTemporality.CUMULATIVE;
  const descriptor = { name, unit, description: "", valueType: isTimed ? ValueType.DOUBLE : ValueType.INT };
  if (isTimed) {
    const dataPoints = points.map(({ cell, ...rest }) => ({ ...rest, value: toHistogram(cell) }));
    return { descriptor, aggregationTemporality, dataPointType: DataPointType.HISTOGRAM, dataPoints };
  }
  const dataPoints = points.map(({ cell, ...rest }) => ({ ...rest, value: cell.count }));
  return { descriptor, aggregationTemporality, dataPointType: DataPointType.SUM, isMonotonic: true, dataPoints };
}

function toHistogram({ count, sum, min, max, buckets }: Cell): Histogram {
  const extremes = Number.isFinite(min) ? { min, max } : {};
  return { count, sum, buckets: { boundaries: [...BOUNDARIES], counts: [...buckets] }, ...extremes };
}

function hrTime(ms: number): HrTime {
  const seconds = Math.trunc(ms / 1_000);
  return [seconds, Math.round((ms - seconds * 1_000) * 1e6)];
}
