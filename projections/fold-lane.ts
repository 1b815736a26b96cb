import { setImmediate as turn } from "node:timers/promises";
import { findLives } from "../sql/queries/lives.ts";
import type { Session } from "../sql/statement.ts";
import type { LedgerEvent } from "../streams/events.ts";
import { decodeEntry, isLedgerEvent } from "../streams/ledger.ts";
import { parseLane } from "./archive.ts";
import { type Refusal, shareOf } from "./batch.ts";
import { type ChangedRows, createPendingRows } from "./pending-rows.ts";
import type { AnyProjection, AnyRow } from "./projection.ts";
import { endOf, type LanePage, type LanePoint, readArchive } from "./read-lane.ts";

/** A stretch of a lane's archive: after one point, up to and including another. */
export interface LaneGoal {
  readonly lane: string;
  readonly after: LanePoint | undefined;
  readonly until: LanePoint;
  /** Bounds by the time of entries, both included. */
  readonly fromMs?: number | undefined;
  readonly untilMs?: number | undefined;
}

/** The archived entries of a stretch, life after life, a page at a time. */
export async function* readGoal(pool: Session, goal: LaneGoal): AsyncGenerator<LanePage, void> {
  const { lane, after, until, fromMs, untilMs } = goal;
  const lives = (await findLives(pool, lane)).map(({ incarnation }) => incarnation);
  const first = after === undefined ? 0 : lives.indexOf(after.incarnation);
  for (const incarnation of lives.slice(Math.max(first, 0), lives.indexOf(until.incarnation) + 1)) {
    const before = incarnation === until.incarnation ? `${until.ms}-${until.seq + 1}` : undefined;
    yield* readArchive(pool, { lane, incarnation, after, before, fromMs, untilMs });
  }
}

/** What a lane is folded with. */
export interface FoldDeps {
  /** Reads the archive. */
  readonly archive: Session;
  readonly projection: AnyProjection;
  /** How many keys the stretch may have, when the table had no rows of the lane before it. Left out: it had. */
  readonly keyCount: number | undefined;
  /** The rows of the lane that some keys have in the table, by key. */
  load(keys: readonly string[]): Promise<ReadonlyMap<string, AnyRow>>;
  /** Events that are left out. */
  accepts(event: LedgerEvent): boolean;
  /** Decides about an event that the fold cannot take: true leaves its key out from there on; otherwise throws. */
  onRefusal(refusal: Refusal): true;
  /** Writes rows, and notes that the lane is folded up to there. In one transaction. */
  write(rows: ChangedRows, at: LanePoint, events: number): Promise<void>;
  onProgress(events: number): void;
  /** How many rows are together when they are written, and how many that are written are kept in memory. Default 20,000. */
  readonly pendingRows?: number | undefined;
  readonly signal: AbortSignal;
}

/** Rows that are written at once: so many that most of their runs are over. */
const PENDING_ROWS = 20_000;
/** Events that are folded between two turns of the event loop, about: a few milliseconds, in which Postgres has at most to wait for its next statement. */
const TURN_EVENTS = 1_000;
/** Also when fewer rows have changed: so much may have to be folded again after a crash. */
const MOST_EVENTS = 200_000;

/** Folds a stretch of a lane into a table: reading, folding and writing at once, in memory that does not grow. Gives how many events that were, and throws what an abort was for. */
export async function foldLane(deps: FoldDeps, goal: LaneGoal): Promise<number> {
  const { queue } = parseLane(goal.lane);
  const { pendingRows = PENDING_ROWS } = deps;
  const rows = createPendingRows({ ...deps, cachedRows: pendingRows });
  const left = new Set<string>();
  let [at, events, flushedAt] = [goal.after, 0, 0];
  const flush = () =>
    rows.flush((some) => (at === undefined ? Promise.resolve() : deps.write(some, at, events - flushedAt)));
  for await (const page of ahead(readGoal(deps.archive, goal))) {
    for (const slice of slicesOf(page, Math.min(TURN_EVENTS, pendingRows))) {
      deps.signal.throwIfAborted();
      const { seenCount, wanted } = eventsOf(slice, queue, deps.accepts);
      const refusals = await rows.fold(shareOf(deps.projection, wanted, left));
      for (const refusal of refusals) if (deps.onRefusal(refusal)) left.add(refusal.key);
      at = endOf(slice);
      events += seenCount;
      deps.onProgress(seenCount);
      await turn();
      if (rows.count() < pendingRows && events - flushedAt < MOST_EVENTS) continue;
      await flush();
      flushedAt = events;
    }
  }
  await flush();
  await rows.settled();
  return events;
}

/** A page in parts of about so many events. */
function* slicesOf({ incarnation, entries }: LanePage, most: number): Generator<LanePage> {
  let [from, count] = [0, 0];
  for (const [at, entry] of entries.entries()) {
    count += entry.count;
    if (count < most && at + 1 < entries.length) continue;
    yield { incarnation, entries: entries.slice(from, at + 1) };
    [from, count] = [at + 1, 0];
  }
}

/** The events of a page that are wanted, and how many it has in all. */
function eventsOf(
  { incarnation, entries }: LanePage,
  queue: string,
  accepts: FoldDeps["accepts"],
): { readonly seenCount: number; readonly wanted: readonly LedgerEvent[] } {
  const wanted: LedgerEvent[] = [];
  let seenCount = 0;
  for (const entry of entries)
    for (const event of decodeEntry(entry, { queue, incarnation })) {
      seenCount += 1;
      if (isLedgerEvent(event) && accepts(event)) wanted.push(event);
    }
  return { seenCount, wanted };
}

/** Asks for the next page while the last one is worked on. */
async function* ahead<T>(pages: AsyncGenerator<T, void>): AsyncGenerator<T, void> {
  let next = pages.next();
  try {
    for (;;) {
      const { value, done } = await next;
      if (done === true) return;
      next = pages.next();
      next.catch(() => {}); // told when it is asked for
      yield value;
    }
  } finally {
    await pages.return();
  }
}
