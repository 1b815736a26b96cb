import { setImmediate as turn } from "node:timers/promises";
import { createRebuilder, type Rebuilder } from "../../../otel/rebuild.ts";
import { type RebuiltSpan, taskOf } from "../../../otel/rebuilt-span.ts";
import { readRun } from "../../../projections/history.ts";
import { parsePosition } from "../../../projections/positions.ts";
import type { AnyEvent, LanePoint, LedgerSource } from "../../../projections/read-lane.ts";
import { type LedgerQuery, readLedger } from "../../../projections/read-ledger.ts";
import { isKnown, type LedgerEvent } from "../../../streams/events.ts";
import { pause } from "../../../streams/lane.ts";
import { splitId } from "../../../streams/ledger.ts";

/** Which spans are wanted. Instants in ms, those of the events that end them. */
export interface TracesWanted
  extends Pick<LedgerQuery, "from" | "until" | "run" | "queues" | "after" | "follow" | "signal" | "blocking"> {
  readonly tasks?: readonly string[] | undefined;
  /** Whether a span of this trace is wanted. Default: all are. */
  readonly isKept?: ((traceId: string) => boolean) | undefined;
  /** Spans that are handed on at once. */
  readonly batch: number;
}

/** Where they go. */
export interface TracesTaken {
  /** `sinceMs`: nothing that ended before it is in this batch or in a later one. `places`: of each queue the last entry whose spans are in this batch or an earlier one. */
  send(batch: readonly RebuiltSpan[], sinceMs: number, places: ReadonlyMap<string, LanePoint>): Promise<void>;
  /** Counts on, for whoever looks. */
  readonly progress: { spans: number; events: number };
}

/**
 * Rebuilds the spans of a stretch of the ledger, all queues as one, so that children and redriven runs find their origin. Of runs that were
 * dispatched before it, what came before is looked up. Gives how many attempts had begun and not ended.
 */
export async function rebuildTraces(
  source: LedgerSource,
  { tasks, isKept, batch: most, ...query }: TracesWanted,
  { send, progress }: TracesTaken,
): Promise<{ readonly open: number }> {
  const rebuilder = createRebuilder();
  const places = new Map<string, LanePoint>();
  let entry = "";
  let batch: RebuiltSpan[] = [];
  let sinceMs = query.from ?? 0;
  let isNews = false;
  const isWanted = (span: RebuiltSpan) =>
    (tasks === undefined || tasks.includes(taskOf(span))) && (isKept === undefined || isKept(span.traceId));
  /** Between two entries, so that places name entries that were taken whole. */
  const flush = async () => {
    if (isNews) await send(batch, sinceMs, places);
    progress.spans += batch.length;
    batch = [];
    isNews = false;
  };
  const begin = async (position: string) => {
    if (batch.length >= most) await flush();
    entry = entryOf(position);
    const { queue, incarnation, id } = parsePosition(position);
    const [ms, seq] = splitId(id);
    places.set(queue, { incarnation, ms, seq });
  };
  const take = async (event: AnyEvent) => {
    progress.events += 1;
    if (event.position !== undefined && entryOf(event.position) !== entry) await begin(event.position);
    isNews = true;
    if (!isKnown(event.type)) return;
    const known = event as LedgerEvent;
    await recall(rebuilder, source, known);
    if (batch.length === 0) sinceMs = event.at;
    batch.push(...rebuilder.take(known).filter(isWanted));
  };
  const mayRest = () => query.follow === true && isNews;
  await each(readLedger(source, query), take, { mayRest, rest: flush });
  await flush();
  return { open: rebuilder.openCount() };
}

/** An event's position without its index. */
function entryOf(position: string): string {
  return position.slice(0, position.lastIndexOf("/"));
}

/** While the ledger is followed, spans wait no longer than this for others, in ms. */
const REST_EVERY_MS = 1_000;

/** What is done when nothing has come for a while. */
interface Rest {
  mayRest(): boolean;
  rest(): Promise<void>;
}

/** Takes each event in turn, and rests between two entries when there is nothing to take. */
async function each(
  events: AsyncIterable<AnyEvent>,
  take: (event: AnyEvent) => Promise<void>,
  { mayRest, rest }: Rest,
): Promise<void> {
  const iterator = events[Symbol.asyncIterator]();
  let timer: Promise<undefined> | undefined;
  const pausing = () => {
    timer ??= pause(REST_EVERY_MS).then(() => {
      timer = undefined;
      return undefined;
    });
    return timer;
  };
  for (let next = iterator.next(); ; ) {
    let got = mayRest() ? await Promise.race([next, pausing()]) : await next;
    // The events of one entry come without waiting: when none has come within a turn, an entry is over.
    got ??= (await Promise.race([next, turn()])) as typeof got;
    if (got === undefined) {
      await rest();
      continue;
    }
    if (got.done === true) return;
    await take(got.value);
    next = iterator.next();
  }
}

/** Tells a rebuilder what came before an event of a run that it has not heard of. */
async function recall(rebuilder: Rebuilder, source: LedgerSource, event: LedgerEvent): Promise<void> {
  if (!rebuilder.isStrange(event)) return;
  const { run, queue } = event as { readonly run: string; readonly queue: string };
  for (const earlier of await readRun(source, run, [queue])) {
    if (isSame(earlier, event)) return;
    if (isKnown(earlier.type)) rebuilder.take(earlier as LedgerEvent);
  }
}

function isSame(one: AnyEvent, other: AnyEvent): boolean {
  return one.position !== undefined && one.position === other.position;
}
