import { refusal } from "../streams/connect.ts";
import { type EventFilter, isWanted } from "../streams/event-filter.ts";
import { runIdTime } from "../streams/ids.ts";
import { laneKeys } from "../streams/keys.ts";
import { listQueues, pause } from "../streams/lane.ts";
import { compareIds, decodeEntry, type LedgerEntry, splitId, waitForAny } from "../streams/ledger.ts";
import { idOf, type Redis } from "./read.ts";
import { type AnyEvent, endOf, type LanePage, type LanePoint, type LedgerSource, readPages } from "./read-lane.ts";

/** Which events are wanted, of which lanes. Each given condition narrows. */
export interface LedgerQuery extends EventFilter {
  /** Recorded at this instant or later, in ms since 1970 on Redis' clock. Default: the beginning. */
  readonly from?: number | undefined;
  /** Recorded at this instant or before. Default: the end, as it is when reading starts. */
  readonly until?: number | undefined;
  /** Where to go on in each queue, instead of at `from`. A queue that is not named begins there. */
  readonly after?: ReadonlyMap<string, LanePoint> | undefined;
  /** Goes on with what is recorded from then on, until `signal` is aborted or `until` is reached; queues that are new included. */
  readonly follow?: boolean | undefined;
  /** Default: every queue of the namespace. */
  readonly queues?: readonly string[] | undefined;
  /** Ends the reading, without an error. */
  readonly signal?: AbortSignal | undefined;
  /** A connection of its own that waits for news while following; whoever opened it closes it. Default: looks every 250 ms. */
  readonly blocking?: Redis | undefined;
}

const BLOCK_MS = 3_000;
const LOOK_EVERY_MS = 250;
const CLOCKS_APART_MS = 60_000;

/**
 * The events of a namespace's ledger, oldest first by the time of their entries: archive and tail as one, each event once, whatever is projected and
 * trimmed meanwhile. Holds a page (about a megabyte) per lane in memory, however long the ledger is. Throws LedgerGap.
 */
export async function* readLedger(source: LedgerSource, query: LedgerQuery = {}): AsyncGenerator<AnyEvent, void> {
  const { signal, follow = false, run } = query;
  const cursors = new Map<string, Cursor>();
  const isStopped = () => signal?.aborted === true;
  try {
    while (!isStopped()) {
      for (const queue of query.queues ?? (await listQueues(source.redis, source.namespace)))
        if (!cursors.has(queue)) cursors.set(queue, await openCursor(source, queue, query));
      const lanes = [...cursors.values()];
      for await (const { queue, incarnation, entry } of merge(lanes)) {
        if (isStopped()) return;
        if (run !== undefined && !entry.events.includes(run)) continue;
        for (const event of decodeEntry(entry, { queue, incarnation })) if (isWanted(event, query)) yield event;
      }
      if (!follow || (lanes.length > 0 && lanes.every(({ isOver }) => isOver))) return;
      await news(source, lanes, query);
    }
  } catch (error) {
    if (!isStopped()) throw error;
  }
}

/** A lane that is being read. */
interface Cursor {
  readonly queue: string;
  readonly pages: AsyncGenerator<LanePage, void>;
  page: LanePage;
  next: number;
  /** The last entry that was read. */
  at: LanePoint | undefined;
  isOver: boolean;
}

async function openCursor(source: LedgerSource, queue: string, query: LedgerQuery): Promise<Cursor> {
  const { follow = false, run, signal } = query;
  const born = run === undefined ? undefined : runIdTime(run);
  const fromMs = query.from ?? (born === undefined ? 0 : Math.max(0, born - CLOCKS_APART_MS));
  const end = follow ? Number.MAX_SAFE_INTEGER : await endMs(source, queue);
  const untilMs = Math.min(query.until ?? end, end);
  const pages = readPages(source, {
    queue,
    fromMs,
    untilMs,
    after: query.after?.get(queue),
    signal: follow ? (signal ?? new AbortController().signal) : undefined,
  });
  return { queue, pages, page: { incarnation: "", entries: [] }, next: 0, at: undefined, isOver: false };
}

/** The time of a lane's last entry, or the present: a reader that does not follow would never end on a lane that is written to faster than it reads. */
export async function endMs({ namespace, redis }: LedgerSource, queue: string): Promise<number> {
  const [[seconds, micros], last] = await Promise.all([
    redis.time(),
    redis.xrevrange(laneKeys(namespace, queue).events, "+", "-", "COUNT", 1),
  ]);
  const now = Number(seconds) * 1_000 + Math.floor(Number(micros) / 1_000);
  return Math.max(now, splitId(last[0]?.[0] ?? "0-0")[0]);
}

/** Has a page for a cursor that has none, if there is more. */
async function fill(cursor: Cursor): Promise<void> {
  if (cursor.isOver || cursor.next < cursor.page.entries.length) return;
  const { value } = await cursor.pages.next();
  cursor.isOver = value === undefined;
  cursor.page = value ?? { ...cursor.page, entries: [] };
  cursor.next = 0;
  cursor.at = endOf(cursor.page) ?? cursor.at;
}

type Placed = { readonly queue: string; readonly incarnation: string; readonly entry: LedgerEntry };

/** The entries of several lanes, least id first, until none has any more for now. */
async function* merge(cursors: readonly Cursor[]): AsyncGenerator<Placed, void> {
  for (;;) {
    // Those that had come to their end are asked too: else a lane that never rests would keep the others out.
    await Promise.all(cursors.map(fill));
    const full = cursors.filter(({ page }) => page.entries.length > 0);
    if (full.length === 0) return;
    while (full.every(({ page, next }) => next < page.entries.length)) {
      const first = full.reduce((least, one) => (compareIds(headOf(one).id, headOf(least).id) < 0 ? one : least));
      const entry = headOf(first);
      first.next += 1;
      yield { queue: first.queue, incarnation: first.page.incarnation, entry };
    }
  }
}

function headOf({ page, next }: Cursor): LedgerEntry {
  return page.entries[next] as LedgerEntry;
}

/** Waits until a lane has something new, a queue may be new, or it is to end. */
async function news(source: LedgerSource, cursors: readonly Cursor[], query: LedgerQuery): Promise<void> {
  const { signal, blocking } = query;
  if (blocking === undefined || cursors.length === 0) return pause(LOOK_EVERY_MS, signal);
  const stop = () => blocking.disconnect(false);
  signal?.addEventListener("abort", stop, { once: true });
  try {
    const places = cursors.map(({ queue, at }) => ({
      keys: laneKeys(source.namespace, queue),
      id: at === undefined ? "0-0" : idOf(at),
    }));
    await waitForAny(blocking, places, BLOCK_MS);
  } catch (error) {
    if (signal?.aborted !== true && refusal(error) !== "away") throw error;
    await pause(LOOK_EVERY_MS, signal);
  } finally {
    signal?.removeEventListener("abort", stop);
  }
}
