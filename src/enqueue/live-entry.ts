import type { Redis } from "ioredis";
import { type Entry, toEntry, unpackEntry } from "../../streams/entry.ts";
import { runIdTime } from "../../streams/ids.ts";
import { GROUP, type LaneKeys } from "../../streams/keys.ts";
import { nextCount } from "../../streams/paging.ts";
import { CLOCK_MARGIN_MS } from "./tail.ts";

/** Where the entry of a run that has not ended lies. */
export interface LiveEntry {
  readonly state: "scheduled" | "retrying" | "waiting" | "running";
  /** Its id in `tasks`, where a waiting run can be cancelled at once. */
  readonly taskEntryId: string | undefined;
}

/** Entries looked through for one run whose entry's id is not known. */
const MOST_LOOKED_AT = 5_000;
/** How much later than its run's id an entry may have been written: as long as a dispatch may take, and a little. */
const WRITTEN_WITHIN_MS = 10_000;

/** Asks for the entry in the three places where it is cheap to find: the schedule, and `tasks` by its id. */
export async function findByHint(
  redis: Redis,
  keys: LaneKeys,
  hint: { readonly run: string; readonly entryId: string | undefined },
): Promise<LiveEntry | undefined> {
  const [packed, waiting] = await Promise.all([
    redis.hget(keys.scheduledEntries, hint.run),
    hint.entryId === undefined ? undefined : entryAt(redis, keys.tasks, hint.entryId),
  ]);
  if (packed !== null) {
    const attempt = unpackEntry(packed)?.attempt ?? 1;
    return { state: attempt > 1 ? "retrying" : "scheduled", taskEntryId: undefined };
  }
  if (waiting?.run !== hint.run || hint.entryId === undefined) return undefined;
  return { state: await stateAt(redis, keys.tasks, hint.entryId), taskEntryId: hint.entryId };
}

/** Looks for the entry in both streams: in `tasks` around the time of the run's id, in `again` everywhere. Gives up after some thousands. */
export async function findBySearch(redis: Redis, keys: LaneKeys, run: string): Promise<LiveEntry | undefined> {
  const time = runIdTime(run);
  const around =
    time === undefined
      ? { from: "-", until: "+" }
      : { from: String(Math.max(0, time - CLOCK_MARGIN_MS)), until: String(time + WRITTEN_WITHIN_MS) };
  const inTasks = await searchStream(redis, keys.tasks, { ...around, run });
  if (inTasks !== undefined) return { state: await stateAt(redis, keys.tasks, inTasks), taskEntryId: inTasks };
  const inAgain = await searchStream(redis, keys.again, { from: "-", until: "+", run });
  return inAgain === undefined
    ? undefined
    : { state: await stateAt(redis, keys.again, inAgain), taskEntryId: undefined };
}

async function searchStream(
  redis: Redis,
  stream: string,
  { from, until, run }: { readonly from: string; readonly until: string; readonly run: string },
): Promise<string | undefined> {
  let [next, count] = [from, 100];
  for (let lookedAt = 0; lookedAt < MOST_LOOKED_AT; ) {
    const page = await redis.xrange(stream, next, until, "COUNT", count);
    const entries = page.map(([, fields]) => toEntry(fields));
    const found = entries.findIndex((entry) => entry.run === run);
    if (found >= 0) return page[found]?.[0];
    if (page.length < count) return undefined;
    lookedAt += page.length;
    next = `(${page.at(-1)?.[0]}`;
    count = nextCount(
      page.length,
      entries.reduce((sum, { body, meta }) => sum + body.length + meta.length, 0),
    );
  }
  return undefined;
}

async function entryAt(redis: Redis, stream: string, id: string): Promise<Entry | undefined> {
  const [found] = await redis.xrange(stream, id, id);
  return found === undefined ? undefined : toEntry(found[1]);
}

/** Running once a worker has it, though that may still be reading ahead. */
async function stateAt(redis: Redis, stream: string, id: string): Promise<"waiting" | "running"> {
  try {
    const held = await redis.xpending(stream, GROUP, id, id, 1);
    return held.length > 0 ? "running" : "waiting";
  } catch (error) {
    if (error instanceof Error && error.message.startsWith("NOGROUP")) return "waiting"; // no worker has come yet
    throw error;
  }
}
