import type { Redis } from "ioredis";
import { isEnding, type LedgerEvent, type UnknownEvent } from "../../streams/events.ts";
import { GROUP, laneKeys } from "../../streams/keys.ts";
import { decodeEntry, isLedgerEvent, readEntries } from "../../streams/ledger.ts";
import { firstIllegal } from "../../streams/run.ts";

/** What four independent records say, joined: the numbers of one scenario. */
export interface Verdict {
  /** Runs whose `kiq` resolved. */
  readonly told: number;
  /** Of those, runs without an ending. */
  readonly lost: number;
  /** Runs with more than one ending. */
  readonly doubleEndings: number;
  /** Results that were recorded although a later delivery of the run had been recorded before. */
  readonly zombieWrites: number;
  /** Runs whose history is not legal by the state machine. */
  readonly illegal: number;
  /** Rows in Postgres that differ from a fold of the ledger; undefined when nothing was projected. */
  readonly projectionDifference: number | undefined;
  /** Starts of handlers beyond one per run and attempt. */
  readonly duplicates: number;
  /** Effects of handlers that no recorded start explains. */
  readonly unexplained: number;
  /** Entries that somebody still holds, or that still wait. */
  readonly leftOver: number;
  readonly died: number;
}

/** Where the records are. */
export interface Records {
  readonly redis: Redis;
  readonly namespace: string;
  readonly queues: readonly string[];
  /** Ids that producers were told, one a line in their journal. */
  readonly told: readonly string[];
  /** Lines of the handlers' journal: `start run attempt token pid`. */
  readonly effects: readonly (readonly string[])[];
  readonly projectionDifference?: number | undefined;
}

/** Reads the whole ledger of a queue, oldest first. */
export async function readLedger(
  redis: Redis,
  namespace: string,
  queue: string,
  incarnation = "",
): Promise<(LedgerEvent | UnknownEvent)[]> {
  const keys = laneKeys(namespace, queue);
  const events: (LedgerEvent | UnknownEvent)[] = [];
  for (let from = "-"; ; ) {
    const entries = await readEntries(redis, keys, { from, count: 100 });
    for (const entry of entries) events.push(...decodeEntry(entry, { queue, incarnation }));
    const last = entries.at(-1);
    if (last === undefined) return events;
    from = `(${last.id}`;
  }
}

/** Groups events by their run. */
export function byRun(events: readonly (LedgerEvent | UnknownEvent)[]): Map<string, LedgerEvent[]> {
  const runs = new Map<string, LedgerEvent[]>();
  for (const event of events) {
    if (!isLedgerEvent(event) || !("run" in event) || event.run === undefined) continue;
    const history = runs.get(event.run);
    if (history === undefined) runs.set(event.run, [event]);
    else history.push(event);
  }
  return runs;
}

/** Joins the records. */
export async function judge(records: Records): Promise<Verdict> {
  const { redis, namespace, queues, told, effects } = records;
  const ledgers = await Promise.all(queues.map((queue) => readLedger(redis, namespace, queue)));
  const runs = byRun(ledgers.flat());
  const endings = (run: string) => (runs.get(run) ?? []).filter((event) => isEnding(event.type)).length;
  const histories = [...runs.values()];
  const starts = effects.filter(([kind]) => kind === "start");
  const distinct = new Set(starts.map(([, run, attempt]) => `${run} ${attempt}`));
  return {
    told: told.length,
    lost: told.filter((run) => endings(run) === 0).length,
    doubleEndings: [...runs.keys()].filter((run) => endings(run) > 1).length,
    zombieWrites: histories.reduce((sum, history) => sum + zombieWritesIn(history), 0),
    illegal: histories.filter((history) => firstIllegal(history) !== undefined).length,
    projectionDifference: records.projectionDifference,
    duplicates: starts.length - distinct.size,
    unexplained: starts.filter(([, run]) => !runs.has(run as string)).length,
    leftOver: (await Promise.all(queues.map((queue) => leftOver(redis, namespace, queue)))).reduce((a, b) => a + b, 0),
    died: histories.filter((history) => history.some((event) => event.type === "run.died")).length,
  };
}

/** A result is a zombie's when a delivery after its own was recorded before it. */
function zombieWritesIn(history: readonly LedgerEvent[]): number {
  let current = { attempt: 0, delivery: 0 };
  let count = 0;
  for (const event of history) {
    if (event.type === "run.redelivered" || event.type === "run.released" || event.type === "run.recovered") {
      current = { attempt: event.attempt, delivery: event.delivery };
    } else if (event.type === "run.succeeded" || event.type === "run.failed") {
      if (event.attempt === current.attempt && event.delivery < current.delivery) count += 1;
    }
  }
  return count;
}

async function leftOver(redis: Redis, namespace: string, queue: string): Promise<number> {
  const keys = laneKeys(namespace, queue);
  const [waiting, again, scheduled] = await Promise.all([
    redis.xlen(keys.tasks),
    redis.xlen(keys.again),
    redis.zcard(keys.scheduled),
  ]);
  const pending = await Promise.all(
    [keys.tasks, keys.again].map(async (key) =>
      Number(((await redis.xpending(key, GROUP).catch(() => [0])) as [number])[0]),
    ),
  );
  return (
    Math.max(
      waiting + again,
      pending.reduce((a, b) => a + b, 0),
    ) + scheduled
  );
}

/** Milliseconds from the death of a process to the moment at which each run it held had been taken over, in order of size. */
export function takeoverTimes(
  events: readonly (LedgerEvent | UnknownEvent)[],
  deaths: ReadonlyMap<number, number>,
): number[] {
  const times: number[] = [];
  for (const event of events) {
    if (!isLedgerEvent(event) || event.type !== "run.redelivered") continue;
    const pid = Number(event.from.split("-").at(-2));
    const died = deaths.get(pid);
    if (died !== undefined) times.push(event.at - died);
  }
  return times.sort((a, b) => a - b);
}

/** The value below which a share of the sorted values lies; NaN for none. */
export function percentile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}
