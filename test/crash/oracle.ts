import type { Redis } from "ioredis";
import type { LedgerEvent, UnknownEvent } from "../../streams/events.ts";
import { GROUP, laneKeys } from "../../streams/keys.ts";
import { decodeEntry, readEntries } from "../../streams/ledger.ts";
import { readJournal } from "./journal.ts";
import { emptyTally, percentile, recoveryTimes, type Tally, take, takeoverTimes } from "./tally.ts";

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
  /** Results that came too late, and were refused. */
  readonly refused: number;
  /** Runs whose history is not legal by the state machine. */
  readonly illegal: number;
  /** What was not legal about them, for the first few. */
  readonly wrongTurns: readonly string[];
  /** Rows in Postgres that differ from a fold of the ledger; undefined when nothing was projected. */
  readonly projectionDifference: number | undefined;
  /** Starts of handlers beyond one per run and attempt. */
  readonly duplicates: number;
  /** Effects of handlers that no recorded run explains. */
  readonly unexplained: number;
  /** Entries that somebody still holds, or that still wait. */
  readonly leftOver: number;
  readonly died: number;
  /** Milliseconds from the death of a process to each takeover of what it held, or else from a fault's end to the next ending. Undefined: neither came about. */
  readonly recoveryP50: number | undefined;
  readonly recoveryP99: number | undefined;
}

/** Where the records are. */
export interface Records {
  readonly redis: Redis;
  readonly namespace: string;
  readonly queue: string;
  /** The producers' journal: `run n`, one line for each `kiq` that resolved. */
  readonly told: string;
  /** The handlers' journal: `start run attempt token pid`, and the same with `end`. */
  readonly effects: string;
  readonly projectionDifference?: number | undefined;
  /** When each process was killed, in ms since 1970, by its pid. */
  readonly deaths?: ReadonlyMap<number, number>;
  /** When each fault was over, in ms since 1970. */
  readonly healedAt?: readonly number[];
  /** Whether entries were put in that nobody had dispatched. */
  readonly hasForeign?: boolean;
}

/** Reads the whole ledger of a queue, oldest first. */
export async function* readLedger(
  redis: Redis,
  namespace: string,
  queue: string,
): AsyncGenerator<LedgerEvent | UnknownEvent> {
  const keys = laneKeys(namespace, queue);
  const incarnation = (await redis.hget(keys.meta, "incarnation")) ?? "";
  for (let from = "-"; ; ) {
    const entries = await readEntries(redis, keys, { from, count: 100 });
    for (const entry of entries) yield* decodeEntry(entry, { queue, incarnation });
    const last = entries.at(-1);
    if (last === undefined) return;
    from = `(${last.id}`;
  }
}

/** Joins the records. */
export async function judge(records: Records): Promise<Verdict> {
  const { redis, namespace, queue, deaths = new Map(), healedAt = [] } = records;
  const tally = emptyTally();
  for await (const event of readLedger(redis, namespace, queue)) take(tally, event, records.hasForeign);
  const all = [...tally.runs.values()];
  const takeovers = takeoverTimes(tally, deaths);
  const times = takeovers.length > 0 ? takeovers : recoveryTimes(tally, healedAt);
  return {
    ...(await countTold(tally, records.told)),
    doubleEndings: all.filter(({ endings }) => endings > 1).length,
    zombieWrites: tally.zombieWrites,
    refused: tally.refused,
    illegal: all.filter(({ isIllegal }) => isIllegal).length,
    wrongTurns: tally.wrongTurns.slice(0, 5),
    projectionDifference: records.projectionDifference,
    ...(await countEffects(tally, records.effects)),
    leftOver: await leftOver(redis, namespace, queue),
    died: all.filter(({ hasDied }) => hasDied).length,
    recoveryP50: percentile(times, 0.5),
    recoveryP99: percentile(times, 0.99),
  };
}

async function countTold({ runs }: Tally, path: string): Promise<Pick<Verdict, "told" | "lost">> {
  let told = 0;
  let lost = 0;
  for await (const [run = ""] of readJournal(path)) {
    told += 1;
    if ((runs.get(run)?.endings ?? 0) === 0) lost += 1;
  }
  return { told, lost };
}

async function countEffects({ runs }: Tally, path: string): Promise<Pick<Verdict, "duplicates" | "unexplained">> {
  const seen = new Set<string>();
  let duplicates = 0;
  let unexplained = 0;
  for await (const [kind, run = "", attempt] of readJournal(path)) {
    if (kind !== "start") continue;
    const start = `${run} ${attempt}`;
    if (seen.has(start)) duplicates += 1;
    seen.add(start);
    if (!runs.has(run)) unexplained += 1;
  }
  return { duplicates, unexplained };
}

async function leftOver(redis: Redis, namespace: string, queue: string): Promise<number> {
  const keys = laneKeys(namespace, queue);
  const streams = await Promise.all([keys.tasks, keys.again].map((key) => leftIn(redis, key)));
  return streams.reduce((sum, count) => sum + count, await redis.zcard(keys.scheduled));
}

/** Entries of a stream; those that are held and gone are counted, too. */
async function leftIn(redis: Redis, stream: string): Promise<number> {
  const length = await redis.xlen(stream);
  const [pending] = (await redis.xpending(stream, GROUP).catch(() => [0])) as [number];
  return Math.max(length, Number(pending));
}
