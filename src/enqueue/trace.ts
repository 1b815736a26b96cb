import type { Redis } from "ioredis";
import type { LedgerEvent } from "../../streams/events.ts";
import { runIdTime } from "../../streams/ids.ts";
import type { LaneKeys } from "../../streams/keys.ts";
import { splitId } from "../../streams/ledger.ts";
import { stateAfter } from "../../streams/run.ts";
import type { RunStatus } from "../run.ts";
import type { Ask } from "./ask.ts";
import { findByHint, findBySearch } from "./live-entry.ts";
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
}

/** Finds out how a run stands, from its entry while it has one, else from the ledger's tail. */
export async function traceRun(ask: Ask, one: Whereabouts): Promise<Trace> {
  const { keys, run } = one;
  const [entry, resultCount] = await ask((redis) =>
    Promise.all([findByHint(redis, keys, one), redis.exists(keys.result(run))]),
  );
  if (entry !== undefined) return { status: entry.state, taskEntryId: entry.taskEntryId };
  if (resultCount > 0) return { status: "succeeded" };
  const state = stateAfter(await historyOf(ask, one));
  if (state !== "none" && state !== "waiting") return { status: state };
  // Waiting, and not where it was dispatched to; or so old that the tail does not reach back to it.
  const found = await ask((redis) => findBySearch(redis, keys, run));
  if (found !== undefined) return { status: found.state, taskEntryId: found.taskEntryId };
  return state === "waiting" ? { status: state } : { status: "unknown", isForgotten: await isForgotten(ask, one) };
}

/** All that the tail has of a run, oldest first. Positions are right when `incarnation` is the lane's. */
export async function historyOf(ask: Ask, one: Whereabouts, incarnation = ""): Promise<LedgerEvent[]> {
  const { run, queue, keys, ledgerId } = one;
  const history: LedgerEvent[] = [];
  for await (const page of readTail(ask, keys, ledgerId ?? startOf(run))) {
    history.push(...eventsOf(run, page, { queue, incarnation }));
  }
  return history;
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
