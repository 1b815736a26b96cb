import { findEntries } from "../sql/queries/archive.ts";
import { findCheckpoint } from "../sql/queries/checkpoints.ts";
import { findRun, type TaskRun } from "../sql/queries/task-runs.ts";
import type { Session } from "../sql/statement.ts";
import { runIdTime } from "../streams/ids.ts";
import { compareIds, decodeEntry, splitId } from "../streams/ledger.ts";
import { decodeArchived, laneName, parseLane } from "./archive.ts";
import { LEDGER } from "./lane-deps.ts";
import { parsePosition, parsePositions } from "./positions.ts";
import { type AnyEvent, type LedgerSource, type LedgerStretch, readArchive, readPages } from "./read-lane.ts";

const CLOCKS_APART_MS = 60_000;

/**
 * Every event of one run, in order: from the archive by the positions that its row keeps, and from where the row's lane is projected to whatever
 * is not projected yet. Without a row, the tail of `queues` is searched from the time that the id tells.
 */
export async function readRun(source: LedgerSource, run: string, queues: readonly string[]): Promise<AnyEvent[]> {
  const checkpoints = await Promise.all(queues.map(async (queue) => [queue, await findEnd(source, queue)] as const));
  const row = source.pool === undefined ? undefined : await findRun(source.pool, source.namespace, run);
  const isOfRun = (event: AnyEvent) => (event as { run?: unknown }).run === run;
  const found = new Map<string, AnyEvent>();
  const keep = (event: AnyEvent) => isOfRun(event) && found.set(event.position ?? "", event);
  if (row !== undefined && source.pool !== undefined) {
    for (const event of await archivedEventsOf(source.pool, source.namespace, row)) keep(event);
  }
  const born = Math.max(0, (runIdTime(run) ?? 0) - CLOCKS_APART_MS);
  for (const [queue, end] of checkpoints) {
    if (row !== undefined && row.queue !== queue) continue;
    const isProjected = row !== undefined && end !== undefined && end.ms > 0;
    const from = isProjected ? source : { ...source, pool: undefined };
    await eachEvent(from, { queue, ...(isProjected ? { after: end } : { fromMs: born }) }, keep);
  }
  return [...found.values()].sort(byPosition);
}

function findEnd(source: LedgerSource, queue: string) {
  if (source.pool === undefined) return Promise.resolve(undefined);
  return findCheckpoint(source.pool, laneName(source.namespace, queue), LEDGER);
}

async function eachEvent(source: LedgerSource, stretch: LedgerStretch, keep: (event: AnyEvent) => void): Promise<void> {
  const { queue } = stretch;
  for await (const { incarnation, entries } of readPages(source, stretch)) {
    if (entries.length === 0) return;
    for (const entry of entries) decodeEntry(entry, { queue, incarnation }).forEach(keep);
  }
}

/** The events in the archived entries that a row's positions name; when some were left out of a long life, in all between the first and the last. */
async function archivedEventsOf(pool: Session, namespace: string, row: TaskRun): Promise<AnyEvent[]> {
  const { entries, isComplete } = parsePositions(row.positions);
  const wanted = entries.map(({ queue, incarnation, id }) => {
    const [ms, seq] = splitId(id);
    return { lane: laneName(namespace, queue), incarnation, ms, seq };
  });
  if (isComplete) return (await findEntries(pool, wanted)).flatMap(decodeArchived);
  const between: AnyEvent[] = [];
  for (const life of Map.groupBy(wanted, ({ lane, incarnation }) => `${lane} ${incarnation}`).values()) {
    const [first] = life;
    if (first === undefined) continue;
    const { lane, incarnation, ms: fromMs } = first;
    const { queue } = parseLane(lane);
    for await (const page of readArchive(pool, { lane, incarnation, fromMs, untilMs: life.at(-1)?.ms })) {
      for (const entry of page.entries)
        if (entry.events.includes(row.id)) between.push(...decodeEntry(entry, { queue, incarnation }));
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
