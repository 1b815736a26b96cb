import type { Redis } from "ioredis";
import { isEnding, type LedgerEvent } from "../../streams/events.ts";
import { runIdTime } from "../../streams/ids.ts";
import type { LaneKeys } from "../../streams/keys.ts";
import { splitId } from "../../streams/ledger.ts";
import { stateAfter } from "../../streams/run.ts";
import type { RunStatus } from "../run.ts";
import type { Ask } from "./ask.ts";
import { findByHint, findBySearch, type LiveEntry } from "./live-entry.ts";
import { eventsOf, readTail, startOf } from "./tail.ts";

/** A run, and what is known of where it lies. */
export interface Whereabouts {
  readonly run: string;
  readonly queue: string;
  readonly keys: LaneKeys;
  /** The id that its entry had when it was dispatched. */
  readonly entryId: string | undefined;
  /** The ledger entry that tells of its dispatch. */
  readonly ledgerId: string | undefined;
}

/** What Redis knows of a run. */
export interface Trace {
  readonly status: RunStatus;
  /** The id of its entry in `tasks`, while it lies there. */
  readonly taskEntryId?: string | undefined;
  /** Of an unknown run: it is older than the ledger's tail, so that it may well have been known. */
  readonly isForgotten?: boolean | undefined;
  /** Of an unknown run: it was dispatched in a transaction, and the run that had its key already stands for it. */
  readonly joined?: string | undefined;
}

/** Finds out how a run stands, from its entry while it has one, else from the ledger's tail. */
export async function traceRun(ask: Ask, one: Whereabouts): Promise<Trace> {
  const { keys, run } = one;
  const [entry, resultCount] = await ask((redis) =>
    Promise.all([findByHint(redis, keys, one), redis.exists(keys.result(run))]),
  );
  if (entry !== undefined) return traceOf(entry);
  if (resultCount > 0) return { status: "succeeded" };
  // The ledger's tail may be long, and tells of a run that still waits only at its end: the streams are asked first.
  const found = one.entryId === undefined ? await search(ask, one) : undefined;
  if (found !== undefined) return traceOf(found);
  const history = await historyOf(ask, one, { isEnough: isSettled });
  const joined = history.find((event) => event.type === "run.joined")?.existing;
  if (joined !== undefined) return { status: "unknown", joined };
  const state = stateAfter(history);
  if (state !== "none" && state !== "waiting") return { status: state };
  const moved = await search(ask, one);
  if (moved !== undefined) return traceOf(moved);
  return state === "waiting" ? { status: state } : { status: "unknown", isForgotten: await isForgotten(ask, one) };
}

/** Whether a run has an entry, and so has not ended. False for one that could not be found quickly. */
export async function isLive(ask: Ask, one: Whereabouts): Promise<boolean> {
  const hinted = await ask((redis) => findByHint(redis, one.keys, one));
  return hinted !== undefined || (one.entryId === undefined && (await search(ask, one)) !== undefined);
}

function search(ask: Ask, { keys, run }: Whereabouts): Promise<LiveEntry | undefined> {
  return ask((redis) => findBySearch(redis, keys, run));
}

function traceOf({ state, taskEntryId }: LiveEntry): Trace {
  return { status: state, taskEntryId };
}

/** How much of a history is read. */
export interface HistoryOptions {
  /** Of the lane, for positions to be right. */
  readonly incarnation?: string;
  /** Reads no further than until this is so. */
  readonly isEnough?: (history: readonly LedgerEvent[]) => boolean;
}

/** What the tail has of a run, oldest first. */
export async function historyOf(ask: Ask, one: Whereabouts, options: HistoryOptions = {}): Promise<LedgerEvent[]> {
  const { run, queue, keys, ledgerId } = one;
  const { incarnation = "", isEnough } = options;
  const history: LedgerEvent[] = [];
  for await (const page of readTail(ask, keys, ledgerId ?? startOf(run))) {
    history.push(...eventsOf(new Set([run]), page, { queue, incarnation }));
    if (isEnough?.(history) === true) break;
  }
  return history;
}

/** True when nothing else can come of a run: it has ended, or never came about, since another one had its key. */
export function isLast(type: string): boolean {
  return isEnding(type) || type === "run.joined";
}

function isSettled(history: readonly LedgerEvent[]): boolean {
  return history.some(({ type }) => isLast(type));
}

/** Whether the tail has been trimmed, and of what is older than the run. */
async function isForgotten(ask: Ask, { run, keys }: Whereabouts): Promise<boolean> {
  const tail = await ask((redis) => tailOf(redis, keys));
  if (tail === undefined || tail.addedCount === tail.keptCount) return false;
  const time = runIdTime(run);
  return time === undefined || tail.firstId === undefined || splitId(tail.firstId)[0] > time;
}

interface Tail {
  readonly addedCount: number;
  readonly keptCount: number;
  readonly firstId: string | undefined;
}

async function tailOf(redis: Redis, keys: LaneKeys): Promise<Tail | undefined> {
  if ((await redis.exists(keys.events)) === 0) return undefined;
  const told = (await redis.xinfo("STREAM", keys.events)) as unknown[];
  const field = (name: string) => told[told.indexOf(name) + 1];
  const first = field("first-entry") as [string] | null;
  return {
    addedCount: Number(field("entries-added")),
    keptCount: Number(field("length")),
    firstId: first?.[0],
  };
}
