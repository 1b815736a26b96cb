import { type Checkpoint, createCheckpoint, findCheckpoint } from "../sql/queries/checkpoints.ts";
import { findLives } from "../sql/queries/lives.ts";
import { type LaneKeys, laneKeys } from "../streams/keys.ts";
import { type Lane, newIncarnation, openLane, pause } from "../streams/lane.ts";
import { laneName } from "./archive.ts";
import { type Commit, commitBatch } from "./commit.ts";
import { beginNewLife, hasMoved } from "./diverge.ts";
import { IMPORTED, type LaneDeps, LEDGER } from "./lane-deps.ts";
import { createPreparer, type Prepared } from "./prepare.ts";
import { HistoryViolation } from "./projection.ts";
import { answered, connected, HistoryDiverged, idOf, incarnationOf, waitAfter } from "./read.ts";
import { repairLane } from "./repair.ts";
import { trimTail } from "./trim.ts";

/** Why a lane is no longer followed: another projector turned out to own it, it begins anew, or it was aborted. */
export type Left = "lost" | "anew" | "aborted";

/**
 * Batch after batch, as the lane's owner. A ledger that has diverged gets a new life, in which what Redis had lost is brought back before anything
 * of it is projected. Throws HistoryDiverged when that is not wanted, HistoryViolation, and whatever Redis and Postgres say.
 */
export async function followLane(deps: LaneDeps, signal: AbortSignal, onProgress: () => void): Promise<Left> {
  const keys = laneKeys(deps.namespace, deps.queue);
  await connected(deps.redis, signal);
  if (signal.aborted) return "aborted";
  let checkpoint = await openCheckpoint(deps, keys);
  try {
    if (!(await isWhole(deps, checkpoint, signal))) return "lost";
    for await (const reached of batches(deps, keys, { checkpoint, signal })) {
      checkpoint = reached;
      onProgress();
    }
    return signal.aborted ? "aborted" : "lost";
  } catch (error) {
    // What looks like a broken history is none when another projector has been at work since our checkpoint was read.
    const isGrave = error instanceof HistoryViolation || error instanceof HistoryDiverged;
    if (isGrave && (await hasMoved(deps.pool, checkpoint))) return "lost";
    if (!(error instanceof HistoryDiverged) || deps.settings.onRegression === "pause") throw error;
    deps.announce({
      kind: "problem",
      what: `the ledger of queue "${deps.queue}" is not the one that is archived: it goes on in a new life, and what was lost is brought back`,
      error,
      facts: { queue: deps.queue, expected: error.expected, found: error.found },
    });
    await beginNewLife({ pool: deps.pool, lane: writingLane(deps), signal }, checkpoint, error);
    return "anew";
  }
}

/** Whether nothing is left to be brought back in the checkpoint's life: does it, unless another projector is at it. */
async function isWhole(deps: LaneDeps, checkpoint: Checkpoint, signal: AbortSignal): Promise<boolean> {
  const lives = await findLives(deps.pool, checkpoint.lane);
  const life = lives.find(({ incarnation }) => incarnation === checkpoint.incarnation);
  if (life === undefined || life.isRepaired) return true;
  const repaired = await repairLane({ pool: deps.pool, lane: writingLane(deps), life, signal });
  if (repaired === undefined) return false;
  deps.announce({ kind: "lane.repaired", queue: deps.queue, ...repaired });
  return true;
}

function writingLane({ redis, namespace, queue }: LaneDeps): Lane {
  return openLane({ redis, namespace, queue, incarnation: newIncarnation() });
}

type From = { checkpoint: Checkpoint; readonly signal: AbortSignal };

/** The checkpoint after each batch, and after each wait for one. Ends when the lane is lost. */
async function* batches(deps: LaneDeps, keys: LaneKeys, { checkpoint, signal }: From): AsyncGenerator<Checkpoint> {
  let preparer = await createPreparer(deps, keys);
  const trim = createTrimmer(deps, signal);
  let ahead: Promise<Prepared | undefined> | undefined;
  while (!signal.aborted) {
    const prepared = await (ahead ?? preparer.prepare(checkpoint));
    ahead = undefined;
    deps.tell("following");
    if (prepared === undefined) {
      yield checkpoint;
      await trim(checkpoint);
      await connected(deps.blocking, signal);
      if (!signal.aborted) await waitAfter({ redis: deps.blocking, keys }, idOf(checkpoint), deps.settings.blockMs);
      continue;
    }
    const { batch, next } = prepared;
    const startedAt = performance.now();
    await deps.prepareDays(batch.archived[0]?.ms ?? 0, batch.to.ms);
    const committing = commitBatch(deps.pool, checkpoint, prepared);
    const isTrickle = batch.archived.length < deps.settings.lingerBelow;
    if (!isTrickle) ahead = preparer.prepare(next); // while Postgres works
    ahead?.catch(() => {});
    const commit = await committing;
    if (commit.outcome === "lost") return;
    if (commit.refusals.length > 0) {
      // What was prepared meanwhile was folded on rows that were not written, and the preparer remembers them.
      await ahead?.catch(() => {});
      ahead = undefined;
      preparer = await createPreparer(deps, keys);
    }
    checkpoint = next;
    tellOf(deps, { prepared, commit, tookMs: performance.now() - startedAt });
    yield checkpoint;
    await trim(checkpoint);
    if (isTrickle) await pause(deps.settings.lingerMs, signal);
  }
}

async function openCheckpoint(deps: LaneDeps, keys: LaneKeys): Promise<Checkpoint> {
  const lane = laneName(deps.namespace, deps.queue);
  const known = await findCheckpoint(deps.pool, lane, LEDGER);
  if (known?.incarnation.startsWith(IMPORTED) === true) throw new LaneIsImported(lane);
  if (known !== undefined) return known;
  const incarnation = await answered(deps.redis, incarnationOf({ redis: deps.redis, keys }));
  await createCheckpoint(deps.pool, { lane, projection: LEDGER, incarnation });
  const found = await findCheckpoint(deps.pool, lane, LEDGER);
  if (found === undefined) throw new Error(`the checkpoint of ${lane} was deleted while it was being made`);
  return found;
}

/** The archive of a lane is an imported one: what Redis has is another history, and nothing of the imported one is to be run. */
export class LaneIsImported extends Error {
  constructor(lane: string) {
    super(`The archive of ${lane} is an imported ledger: use another namespace for a queue that is at work.`);
    this.name = "LaneIsImported";
  }
}

type Outcome = { prepared: Prepared; commit: Extract<Commit, { outcome: "done" }>; tookMs: number };

function tellOf(deps: LaneDeps, { prepared: { batch }, commit, tookMs }: Outcome): void {
  for (const { projection, key, event, error } of commit.refusals) {
    deps.announce({
      kind: "problem",
      what: `projection ${projection} cannot take ${event.type}; the key ${key} is parked, and everything else goes on`,
      error,
      facts: { projection, key, position: event.position },
    });
  }
  const lagMs = Math.max(0, Date.now() - batch.to.ms);
  deps.announce({
    kind: "batch.projected",
    queue: deps.queue,
    events: batch.to.events,
    rows: commit.rows,
    tookMs,
    lagMs,
  });
}

function createTrimmer(deps: LaneDeps, signal: AbortSignal) {
  const { trimEveryMs, ...kept } = deps.settings;
  const lane = writingLane(deps);
  let nextAt = performance.now(); // at once, so that the lane knows that there is an archive
  return async (checkpoint: Checkpoint) => {
    if (performance.now() < nextAt) return;
    nextAt = performance.now() + trimEveryMs * (0.75 + Math.random() / 2);
    await trimTail(lane, checkpoint, { ...kept, signal });
  };
}
