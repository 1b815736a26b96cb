import { findEntriesAfter } from "../sql/queries/archive.ts";
import { findLives, hasArchive, type Life } from "../sql/queries/lives.ts";
import type { Session } from "../sql/statement.ts";
import { ready, refusal } from "../streams/connect.ts";
import type { LedgerEvent, UnknownEvent } from "../streams/events.ts";
import { laneKeys } from "../streams/keys.ts";
import { laneIncarnation, pause } from "../streams/lane.ts";
import { compareIds, type LedgerEntry, readEntries, splitId } from "../streams/ledger.ts";
import { FIRST_COUNT, nextCount, sizeOf } from "../streams/paging.ts";
import { fromArchived, laneName } from "./archive.ts";
import { answered, idOf, type Redis } from "./read.ts";

/** One event of the ledger, of a known type or not. */
export type AnyEvent = LedgerEvent | UnknownEvent;

/** What the ledger of a namespace is read from: the archive, when there is a Postgres, and Redis' tail. */
export interface LedgerSource {
  readonly namespace: string;
  readonly redis: Redis;
  readonly pool?: Session | undefined;
}

/** Where a reader stands: after this entry of this life of the lane. */
export interface LanePoint {
  readonly incarnation: string;
  readonly ms: number;
  readonly seq: number;
}

/** A stretch of a lane's ledger, by the time of its entries on Redis' clock, both ends included. */
export interface LedgerStretch {
  readonly queue: string;
  readonly fromMs?: number | undefined;
  readonly untilMs?: number | undefined;
  /** Goes on after this entry, instead of at the beginning. */
  readonly after?: LanePoint | undefined;
  /** Until it is aborted, a Redis that is away is waited for. */
  readonly signal?: AbortSignal | undefined;
}

/** Consecutive entries of one life of a lane. An empty page: there is nothing more for now. */
export interface LanePage {
  readonly incarnation: string;
  readonly entries: readonly LedgerEntry[];
}

/** Entries that followed the last one that was read are neither in Redis nor in the archive. */
export class LedgerGap extends Error {
  readonly code = "ledger_gap";
  constructor(lane: string, after: string) {
    super(
      `The ledger of ${lane} was trimmed in Redis beyond entry ${after}, and no archive is at hand: what followed it cannot be read. Name the Postgres of its projector (DATABASE_URL).`,
    );
    this.name = "LedgerGap";
  }
}

/**
 * The entries of a lane in their order, life after life: first what is archived, then Redis' tail. No gap and no double at the seam, whatever is
 * projected and trimmed meanwhile: each page of the tail is read from the entry that was read last, and when it does not begin with that one,
 * what is in between was archived before it was trimmed. At the end there is an empty page; whoever goes on after it has what came since. Throws LedgerGap.
 */
export async function* readPages(source: LedgerSource, stretch: LedgerStretch): AsyncGenerator<LanePage, void> {
  const { untilMs = Number.MAX_SAFE_INTEGER } = stretch;
  const lane = laneName(source.namespace, stretch.queue);
  const archive = source.pool !== undefined && (await hasArchive(source.pool)) ? source.pool : undefined;
  let at = stretch.after;
  for (let count = FIRST_COUNT; ; ) {
    const tail = await readTail({ ...source, pool: archive }, stretch, { at, count });
    if (archive === undefined && !tail.isNext && at?.incarnation === tail.incarnation)
      throw new LedgerGap(lane, idOf(at));
    const { lives, isOld } = livesBefore(tail.incarnation, at?.incarnation, tail.archived);
    for (const incarnation of lives) {
      const before = incarnation === tail.incarnation ? tail.entries[0]?.id : undefined;
      for await (const page of readArchive(archive as Session, { ...stretch, lane, incarnation, before, after: at })) {
        yield page;
        at = endOf(page);
      }
    }
    const isUnseen =
      at !== undefined && at.incarnation !== tail.incarnation && !tail.archived.includes(tail.incarnation);
    const known = isUnseen ? idOf(at as LanePoint) : "0-0";
    const fresh = isOld ? [] : tail.entries.filter(({ id }) => compareIds(id, known) > 0);
    const entries = fresh.filter(({ id }) => splitId(id)[0] <= untilMs);
    const page = { incarnation: tail.incarnation, entries };
    yield page;
    at = endOf(page) ?? at;
    if (entries.length < fresh.length) return;
    count = entries.length === 0 ? FIRST_COUNT : nextCount(entries.length, sizeOf(entries));
  }
}

/**
 * The lives whose archived entries come before a page of the tail, of those that the archive has, in order: from the reader's own to the tail's.
 * `isOld`: the tail is of a life before the reader's, and nothing in it is news. Pure.
 */
export function livesBefore(
  tail: string,
  reader: string | undefined,
  archived: readonly string[],
): { readonly lives: readonly string[]; readonly isOld: boolean } {
  const end = archived.indexOf(tail);
  const own = reader === undefined ? 0 : archived.indexOf(reader);
  if (end < 0) return { lives: own < 0 ? [] : archived.slice(own), isOld: false };
  if (own > end) return { lives: archived.slice(own), isOld: true };
  return { lives: archived.slice(own < 0 ? end : own, end + 1), isOld: false };
}

/** The point after a page's last entry. */
export function endOf({ incarnation, entries }: LanePage): LanePoint | undefined {
  const last = entries.at(-1);
  if (last === undefined) return undefined;
  const [ms, seq] = splitId(last.id);
  return { incarnation, ms, seq };
}

/** A page of the tail. `isNext`: it follows the reader's last entry without a gap. Otherwise `archived` has the lives that the archive knows, in order. */
interface TailPage extends LanePage {
  readonly isNext: boolean;
  readonly archived: readonly string[];
}

async function readTail(
  { namespace, redis, pool }: LedgerSource,
  { queue, fromMs = 0, signal }: LedgerStretch,
  { at, count }: { readonly at: LanePoint | undefined; readonly count: number },
): Promise<TailPage> {
  const keys = laneKeys(namespace, queue);
  const read = (from: string) =>
    patiently(
      redis,
      () => Promise.all([laneIncarnation(redis, keys), readEntries(redis, keys, { from, count: count + 1 })]),
      signal,
    );
  let [incarnation, entries] = await read(at === undefined ? String(fromMs) : idOf(at));
  if (at?.incarnation === incarnation && entries[0]?.id === idOf(at))
    return { incarnation, entries: entries.slice(1), isNext: true, archived: [] };
  const lives = pool === undefined ? [] : await findLives(pool, laneName(namespace, queue));
  while (at?.incarnation !== incarnation) {
    const start = startOfLife(lives, incarnation, { at, fromMs });
    const [same, again] = await read(start);
    entries = again;
    if (same === incarnation) break;
    incarnation = same;
  }
  return { incarnation, entries, isNext: false, archived: lives.map((life) => life.incarnation) };
}

/**
 * Where in the tail the news of another life begin. What it shares with those before was read as theirs. Of a life that the projector has
 * not seen yet it is not known what it shares: what is later than the reader's last entry is new in any case.
 */
function startOfLife(
  lives: readonly Life[],
  incarnation: string,
  { at, fromMs }: { readonly at: LanePoint | undefined; readonly fromMs: number },
): string {
  const life = lives.find((one) => one.incarnation === incarnation);
  const after = life === undefined ? at : { ms: life.afterMs, seq: life.afterSeq };
  return after === undefined || after.ms < fromMs || after.ms === 0 ? String(fromMs) : `(${idOf(after)}`;
}

/** Asks again when Redis was away, for as long as there is a signal that has not been aborted. */
async function patiently<T>(redis: Redis, ask: () => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  for (;;) {
    try {
      return await answered(redis, ask());
    } catch (error) {
      if (signal?.aborted !== false || refusal(error) !== "away") throw error;
      await pause(100, signal);
      await ready(redis, 5_000, signal);
    }
  }
}

/** A stretch of one life in the archive. */
export interface ArchiveStretch {
  readonly lane: string;
  readonly incarnation: string;
  readonly fromMs?: number | undefined;
  readonly untilMs?: number | undefined;
  /** Where the reader stands; of another life it says nothing. */
  readonly after?: LanePoint | undefined;
  /** The id of the first entry that is no longer wanted. */
  readonly before?: string | undefined;
}

/** The archived entries of one life, a page at a time. */
export async function* readArchive(pool: Session, stretch: ArchiveStretch): AsyncGenerator<LanePage, void> {
  const { lane, incarnation, fromMs = 0, before } = stretch;
  const end = before === undefined ? Number.MAX_SAFE_INTEGER : splitId(before)[0];
  const untilMs = Math.min(stretch.untilMs ?? Number.MAX_SAFE_INTEGER, end);
  let after = stretch.after?.incarnation === incarnation ? stretch.after : undefined;
  for (let limit = FIRST_COUNT; ; ) {
    const { ms: afterMs, seq: afterSeq } = after ?? { ms: fromMs - 1, seq: Number.MAX_SAFE_INTEGER };
    const found = await findEntriesAfter(pool, { lane, incarnation, afterMs, afterSeq, untilMs, limit });
    const entries = found.map(fromArchived).filter(({ id }) => before === undefined || compareIds(id, before) < 0);
    const page = { incarnation, entries };
    if (entries.length > 0) yield page;
    if (found.length < limit || entries.length < found.length) return;
    after = endOf(page);
    limit = nextCount(found.length, sizeOf(entries));
  }
}
