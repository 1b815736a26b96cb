import { type ArchivedEntry, type EntryPosition, findEntries, findEntriesAfter } from "../sql/queries/archive.ts";
import { findCheckpoint } from "../sql/queries/checkpoints.ts";
import { findLives, type Life } from "../sql/queries/lives.ts";
import { findRun, type TaskRun } from "../sql/queries/task-runs.ts";
import type { Session } from "../sql/statement.ts";
import type { LedgerEvent, UnknownEvent } from "../streams/events.ts";
import { runIdTime } from "../streams/ids.ts";
import { type LaneKeys, laneKeys } from "../streams/keys.ts";
import { laneIncarnation } from "../streams/lane.ts";
import { compareIds, decodeEntry, type LedgerEntry, readEntries, splitId } from "../streams/ledger.ts";
import { decodeArchived, laneName } from "./archive.ts";
import { LEDGER } from "./lane-deps.ts";
import { parsePosition, parsePositions } from "./positions.ts";
import { idOf, type Redis } from "./read.ts";

/** One event of the ledger, of a known type or not. */
export type AnyEvent = LedgerEvent | UnknownEvent;

/** What the ledger of a namespace is read from: the archive, when there is a Postgres, and Redis' tail. */
export interface LedgerSource {
  readonly namespace: string;
  readonly redis: Redis;
  readonly pool?: Session | undefined;
}

/** A stretch of a lane's ledger, by the time of its entries, both ends included. */
export interface LedgerStretch {
  readonly queue: string;
  readonly fromMs?: number | undefined;
  readonly untilMs?: number | undefined;
}

const ARCHIVE_CHUNK = 200;
const TAIL_CHUNK = 16; // of the largest entries, four megabytes

/** The events of a lane in their order: first what is archived, then Redis' tail from where the archive ends. */
export async function* readLane(source: LedgerSource, stretch: LedgerStretch): AsyncGenerator<AnyEvent> {
  const { queue, fromMs = 0, untilMs = Number.MAX_SAFE_INTEGER } = stretch;
  const keys = laneKeys(source.namespace, queue);
  let last: EntryPosition | undefined;
  let lives: readonly Life[] = [];
  if (source.pool !== undefined) {
    const lane = laneName(source.namespace, queue);
    lives = await findLives(source.pool, lane);
    for (const { incarnation } of lives) {
      for (let read = -1; read !== 0 && (read < 0 || !(await isInTail(source.redis, keys, last))); ) {
        read = 0; // again until the archive touches the tail: while it was read, what follows may have left Redis
        const from = last?.incarnation === incarnation ? last : undefined;
        for await (const entry of archivedEntries(source.pool, { lane, incarnation, fromMs, untilMs, from })) {
          read += 1;
          last = entry;
          yield* decodeArchived(entry);
        }
      }
    }
  }
  const incarnation = await laneIncarnation(source.redis, keys);
  const from = last?.incarnation === incarnation ? `(${idOf(last)}` : startOfLife(lives, incarnation, fromMs);
  yield* readTail(source, queue, { incarnation, from, untilMs });
}

/** What a life shares with those before is archived as theirs. */
function startOfLife(lives: readonly Life[], incarnation: string, fromMs: number): string {
  const { afterMs, afterSeq } = lives.find((life) => life.incarnation === incarnation) ?? { afterMs: 0, afterSeq: 0 };
  return afterMs >= fromMs && afterMs > 0 ? `(${afterMs}-${afterSeq}` : String(fromMs);
}

/** Whether Redis still has the entry that the archive was read to. */
async function isInTail(redis: Redis, keys: LaneKeys, last: EntryPosition | undefined): Promise<boolean> {
  if (last === undefined) return true;
  const [entry] = await readEntries(redis, keys, { from: idOf(last), count: 1 });
  return entry?.id === idOf(last);
}

type Stretch = { lane: string; incarnation: string; fromMs: number; untilMs: number; from?: EntryPosition | undefined };

/** The rows of a stretch of the archive, read in chunks. */
async function* archivedEntries(pool: Session, stretch: Stretch): AsyncGenerator<ArchivedEntry> {
  const { lane, incarnation, fromMs, untilMs, from } = stretch;
  let afterMs = from?.ms ?? fromMs - 1;
  let afterSeq = from?.seq ?? Number.MAX_SAFE_INTEGER;
  for (;;) {
    const range = { lane, incarnation, afterMs, afterSeq, untilMs, limit: ARCHIVE_CHUNK };
    const entries = await findEntriesAfter(pool, range);
    yield* entries;
    const end = entries.at(-1);
    if (end === undefined || entries.length < ARCHIVE_CHUNK) return;
    afterMs = end.ms;
    afterSeq = end.seq;
  }
}

type Tail = { readonly incarnation: string; readonly from: string; readonly untilMs?: number };

async function* readTail(source: LedgerSource, queue: string, tail: Tail): AsyncGenerator<AnyEvent> {
  const keys = laneKeys(source.namespace, queue);
  const { incarnation, untilMs = Number.MAX_SAFE_INTEGER } = tail;
  for (let { from } = tail; ; ) {
    const entries: LedgerEntry[] = await readEntries(source.redis, keys, { from, count: TAIL_CHUNK });
    for (const entry of entries) {
      if (splitId(entry.id)[0] > untilMs) return;
      yield* decodeEntry(entry, { queue, incarnation });
    }
    const end = entries.at(-1);
    if (end === undefined || entries.length < TAIL_CHUNK) return;
    from = `(${end.id}`;
  }
}

const CLOCKS_APART_MS = 60_000;

/**
 * Every event of one run, in order: from the archive by the positions that its row keeps, and from Redis' tail what is not projected yet.
 * Without a row, the tail of `queues` is searched from the time that the id tells.
 */
export async function readRun(source: LedgerSource, run: string, queues: readonly string[]): Promise<AnyEvent[]> {
  const checkpoints = await Promise.all(queues.map(async (queue) => [queue, await findEnd(source, queue)] as const));
  const row = source.pool === undefined ? undefined : await findRun(source.pool, source.namespace, run);
  const isOfRun = (event: AnyEvent) => (event as { run?: unknown }).run === run;
  const found = new Map<string, AnyEvent>();
  const keep = (event: AnyEvent) => isOfRun(event) && found.set(event.position ?? "", event);
  if (row !== undefined && source.pool !== undefined) {
    for (const entry of await findEntriesOf(source.pool, source.namespace, row)) decodeArchived(entry).forEach(keep);
  }
  for (const [queue, end] of checkpoints) {
    if (row !== undefined && row.queue !== queue) continue;
    const incarnation = await laneIncarnation(source.redis, laneKeys(source.namespace, queue));
    const born = String(Math.max(0, (runIdTime(run) ?? 0) - CLOCKS_APART_MS));
    const from = row !== undefined && end?.incarnation === incarnation ? `(${idOf(end)}` : born;
    for await (const event of readTail(source, queue, { incarnation, from })) keep(event);
  }
  return [...found.values()].sort(byPosition);
}

function findEnd(source: LedgerSource, queue: string) {
  if (source.pool === undefined) return Promise.resolve(undefined);
  return findCheckpoint(source.pool, laneName(source.namespace, queue), LEDGER);
}

/** The archived entries that a row's positions name; when some were left out of a long life, all between the first and the last. */
async function findEntriesOf(pool: Session, namespace: string, row: TaskRun): Promise<ArchivedEntry[]> {
  const { entries, isComplete } = parsePositions(row.positions);
  const wanted = entries.map(({ queue, incarnation, id }) => {
    const [ms, seq] = splitId(id);
    return { lane: laneName(namespace, queue), incarnation, ms, seq };
  });
  if (isComplete) return findEntries(pool, wanted);
  const between: ArchivedEntry[] = [];
  for (const life of Map.groupBy(wanted, ({ lane, incarnation }) => `${lane} ${incarnation}`).values()) {
    const [first] = life;
    if (first === undefined) continue;
    const stretch = { ...first, fromMs: first.ms, untilMs: life.at(-1)?.ms ?? first.ms };
    for await (const entry of archivedEntries(pool, stretch)) {
      if (entry.events.includes(row.id) || entry.raw !== null) between.push(entry);
    }
  }
  return between;
}

/** Entries of several lives compare by time, which is what their ids are made of. */
function byPosition(a: AnyEvent, b: AnyEvent): number {
  if (a.position === undefined || b.position === undefined) return a.at - b.at;
  const [one, other] = [parsePosition(a.position), parsePosition(b.position)];
  return compareIds(one.id, other.id) || one.index - other.index;
}
