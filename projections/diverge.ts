import { randomBytes } from "node:crypto";
import type { DatabasePool } from "slonik";
import { findEntries, findLastEntry } from "../sql/queries/archive.ts";
import { type Checkpoint, findCheckpoint, type NewLife, restartCheckpoint } from "../sql/queries/checkpoints.ts";
import { findLives, type Life } from "../sql/queries/lives.ts";
import type { Lane } from "../streams/lane.ts";
import { batchToken, compareIds, type LedgerEntry, splitId, toLedgerEntry } from "../streams/ledger.ts";
import { regress } from "../streams/repair.ts";
import { answered, type HistoryDiverged, idOf, incarnationOf, type Redis } from "./read.ts";

/** What a lane's new life is begun with. */
export interface NewLifeDeps {
  readonly pool: DatabasePool;
  readonly lane: Lane;
  readonly signal: AbortSignal;
}

/**
 * Begins a new life of a lane whose ledger is not the one that was archived: Redis gets another incarnation, and an event that says so; the
 * checkpoint goes to the last entry that both have. Each step can be taken again, and by others: the first to move the checkpoint has done it, and
 * whoever comes after that does nothing.
 */
export async function beginNewLife(
  { pool, lane, signal }: NewLifeDeps,
  checkpoint: Checkpoint,
  { expected, found }: Pick<HistoryDiverged, "expected" | "found">,
): Promise<void> {
  const lives = await findLives(pool, checkpoint.lane);
  const seen = await incarnationOf(lane);
  // Asked after the lives: with those of a new life begun meanwhile, that life would look like an old one, and be followed by yet another.
  if (await hasMoved(pool, checkpoint)) return;
  // One that the archive does not know yet was drawn by whoever found the lane emptied, or by a step like this that was not finished.
  const incarnation = lives.some((life) => life.incarnation === seen) ? randomBytes(6).toString("hex") : seen;
  const event = { type: "lane.regressed", expected, ...(found === undefined ? {} : { found }) } as const;
  if (!(await regress(lane, { incarnation: seen, next: incarnation, event }, { signal }))) return;
  const shared = await findLastShared({ pool, lane }, checkpoint.lane, lives);
  await restartCheckpoint(pool, checkpoint, toLife(incarnation, shared));
}

/** Whether somebody else has moved the checkpoint. Rows and checkpoint change together, so a checkpoint that stands proves the rows that were read before. */
export async function hasMoved(pool: DatabasePool, ours: Checkpoint): Promise<boolean> {
  const now = await findCheckpoint(pool, ours.lane, ours.projection);
  return now?.epoch !== ours.epoch || now.incarnation !== ours.incarnation || idOf(now) !== idOf(ours);
}

function toLife(incarnation: string, shared: LedgerEntry | undefined): NewLife {
  const [ms, seq] = splitId(shared?.id ?? "0-0");
  return { incarnation, ms, seq, token: shared === undefined ? "" : batchToken(shared.header), isRepaired: false };
}

const PAGE = 16;

/** The last entry that is both in Redis and, with the same batch token, in the archive. What comes after it in Redis is new. */
async function findLastShared(
  { pool, lane: { redis, keys } }: Pick<NewLifeDeps, "pool" | "lane">,
  lane: string,
  lives: readonly Life[],
): Promise<LedgerEntry | undefined> {
  const ends = await Promise.all(lives.map(({ incarnation }) => findLastEntry(pool, lane, incarnation)));
  const last = ends
    .flatMap((end) => (end === undefined ? [] : [idOf(end)]))
    .sort(compareIds)
    .at(-1);
  for (let end = last; end !== undefined; ) {
    const entries = await readBackwards(redis, keys.events, end);
    const archived = await findEntries(
      pool,
      entries.flatMap(({ id }) => positionsOf(id, lane, lives)),
    );
    const tokens = Map.groupBy(archived, idOf);
    const shared = entries.find(({ id, header }) =>
      tokens.get(id)?.some((one) => batchToken(one.header) === batchToken(header)),
    );
    if (shared !== undefined) return shared;
    const oldest = entries.at(-1);
    end = oldest === undefined || entries.length < PAGE ? undefined : `(${oldest.id}`;
  }
  return undefined;
}

function positionsOf(id: string, lane: string, lives: readonly Life[]) {
  const [ms, seq] = splitId(id);
  return lives.map(({ incarnation }) => ({ lane, incarnation, ms, seq }));
}

async function readBackwards(redis: Redis, key: string, from: string): Promise<LedgerEntry[]> {
  const page = await answered(redis, redis.xrevrange(key, from, "-", "COUNT", PAGE));
  return (page as [string, string[]][]).map(toLedgerEntry);
}
