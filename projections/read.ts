import type { Checkpoint } from "../sql/queries/checkpoints.ts";
import { ready, replaceLink } from "../streams/connect.ts";
import type { LaneKeys } from "../streams/keys.ts";
import { type Lane, laneIncarnation } from "../streams/lane.ts";
import { batchToken, compareIds, type LedgerEntry, readEntries, waitForEntries } from "../streams/ledger.ts";

/** A Redis connection. */
export type Redis = Lane["redis"];

/** A lane's ledger, on a connection. */
export interface LaneReader {
  readonly redis: Redis;
  readonly keys: LaneKeys;
}

/** The ledger of a lane no longer is the one that the checkpoint was made from: Redis lost a tail, was emptied, or was restored from a backup. */
export class HistoryDiverged extends Error {
  readonly code = "history_diverged";
  readonly lane: string;
  readonly expected: string;
  readonly found: string | undefined;
  constructor(checkpoint: Checkpoint, found: string | undefined) {
    const expected = describe(checkpoint.incarnation, idOf(checkpoint), checkpoint.token);
    super(
      `The ledger of ${checkpoint.lane} has diverged: the archive ends with ${expected}, and Redis has ${found ?? "nothing"} there. ` +
        "Redis lost its tail, was emptied, or came back from a backup. What is archived is safe.",
    );
    this.name = "HistoryDiverged";
    this.lane = checkpoint.lane;
    this.expected = expected;
    this.found = found;
  }
}

/** The id of the entry that a checkpoint stands at. */
export function idOf({ ms, seq }: Pick<Checkpoint, "ms" | "seq">): string {
  return `${ms}-${seq}`;
}

/**
 * The entries after a checkpoint. They are read from the checkpoint's own entry on: it must still be there, with the same
 * batch token. Ids are wall clock, so "the last id is below the checkpoint" would hide again after one event. Throws HistoryDiverged.
 */
export async function readAfter(
  { redis, keys }: LaneReader,
  checkpoint: Checkpoint,
  count: number,
): Promise<LedgerEntry[]> {
  const isFirst = checkpoint.ms === 0;
  const [incarnation, entries] = await answered(
    redis,
    Promise.all([
      incarnationOf({ redis, keys }),
      readEntries(redis, keys, { from: isFirst ? "-" : idOf(checkpoint), count: isFirst ? count : count + 1 }),
    ]),
  );
  const [own] = entries;
  const ownToken = own && batchToken(own.header);
  if (
    incarnation !== checkpoint.incarnation ||
    (!isFirst && (own?.id !== idOf(checkpoint) || ownToken !== checkpoint.token))
  ) {
    if (await isInGap({ redis, keys }, checkpoint, incarnation)) return entries;
    throw new HistoryDiverged(checkpoint, own && describe(incarnation, own.id, ownToken ?? ""));
  }
  return isFirst ? entries : entries.slice(1);
}

/** Whether the checkpoint's entry is not there because it was given up, with what followed it: the archive could not keep up, and the user had said that the ledger was to give then. */
async function isInGap({ redis, keys }: LaneReader, checkpoint: Checkpoint, incarnation: string): Promise<boolean> {
  if (incarnation !== checkpoint.incarnation || checkpoint.ms === 0) return false;
  const before = await answered(redis, redis.hget(keys.meta, "gap"));
  return before !== null && compareIds(idOf(checkpoint), before) < 0;
}

/** Which life of the lane Redis has now; a new one when it has none. Throws when it was emptied at this very moment. */
export async function incarnationOf({ redis, keys }: LaneReader): Promise<string> {
  const incarnation = await laneIncarnation(redis, keys);
  if (incarnation === "") throw new Error("the lane was emptied while it was looked at");
  return incarnation;
}

/** Waits until there is something after an entry, at most `blockMs`; at once when there is. On a connection of its own. */
export async function waitAfter({ redis, keys }: LaneReader, id: string, blockMs: number): Promise<void> {
  await answered(redis, waitForEntries(redis, keys, { id, count: 1, blockMs }), blockMs + ANSWER_WITHIN_MS);
}

const ANSWER_WITHIN_MS = 10_000;

/**
 * An answer, or an error soon: a connection that stays silent is taken for dead and closed, so that the driver makes a new one. With resending
 * off, ioredis never settles what was on its way when a connection closed; so the closing itself is taken for the answer.
 */
export async function answered<T>(redis: Redis, answer: Promise<T>, withinMs = ANSWER_WITHIN_MS): Promise<T> {
  const { promise: failure, reject } = Promise.withResolvers<never>();
  const onClose = () => reject(new Error("Connection is closed"));
  const timer = setTimeout(() => {
    replaceLink(redis);
    reject(new Error(`Redis did not answer within ${withinMs} ms`));
  }, withinMs);
  redis.once("close", onClose);
  try {
    return await Promise.race([answer, failure]);
  } finally {
    clearTimeout(timer);
    redis.off("close", onClose);
  }
}

/** Makes sure that a connection can take commands. Throws when it cannot within five seconds. */
export async function connected(redis: Redis, signal: AbortSignal): Promise<void> {
  if (!(await ready(redis, 5_000, signal)) && !signal.aborted) throw new Error("Redis cannot be reached");
}

function describe(incarnation: string, id: string, token: string): string {
  return `entry ${id} of batch ${token} (incarnation ${incarnation})`;
}
