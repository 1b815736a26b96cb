import {
  type Checkpoint,
  createCheckpoint,
  findCheckpoint,
  type NewLife,
  restartCheckpoint,
} from "../sql/queries/checkpoints.ts";
import { type LaneKeys, laneKeys } from "../streams/keys.ts";
import { pause } from "../streams/lane.ts";
import { laneName } from "./archive.ts";
import { type Commit, commitBatch } from "./commit.ts";
import { type LaneDeps, LEDGER } from "./lane-deps.ts";
import { createPreparer, type Prepared } from "./prepare.ts";
import { HistoryViolation } from "./projection.ts";
import { answered, connected, HistoryDiverged, idOf, incarnationOf, waitAfter } from "./read.ts";
import { trimTail } from "./trim.ts";

/**
 * Batch after batch, as the lane's owner. Returns when another projector turns out to own it, or when aborted. Throws HistoryDiverged,
 * HistoryViolation, and whatever Redis and Postgres say.
 */
export async function followLane(deps: LaneDeps, signal: AbortSignal, onProgress: () => void): Promise<void> {
  const keys = laneKeys(deps.namespace, deps.queue);
  await connected(deps.redis, signal);
  if (signal.aborted) return;
  let checkpoint = await openCheckpoint(deps, keys);
  try {
    for await (const reached of batches(deps, keys, { checkpoint, signal })) {
      checkpoint = reached;
      onProgress();
    }
  } catch (error) {
    // What looks like a broken history is none when another projector has been at work since our checkpoint was read.
    const isGrave = error instanceof HistoryViolation || error instanceof HistoryDiverged;
    if (isGrave && (await hasMoved(deps, checkpoint))) return;
    if (!(error instanceof HistoryDiverged && error.isEmptied)) throw error;
    await restartCheckpoint(deps.pool, checkpoint, anew(error.incarnation));
    deps.announce({
      kind: "problem",
      what: `the Redis of queue "${deps.queue}" was emptied: its ledger begins anew, and runs that had not ended will not go on`,
      facts: { queue: deps.queue, before: checkpoint.incarnation, now: error.incarnation },
    });
  }
}

type From = { checkpoint: Checkpoint; readonly signal: AbortSignal };

/** The checkpoint after each batch, and after each wait for one. Ends when the lane is lost. */
async function* batches(deps: LaneDeps, keys: LaneKeys, { checkpoint, signal }: From): AsyncGenerator<Checkpoint> {
  let preparer = await createPreparer(deps, keys);
  const trim = createTrimmer(deps, keys);
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
  const incarnation = await answered(deps.redis, incarnationOf({ redis: deps.redis, keys }));
  let found = await findCheckpoint(deps.pool, lane, LEDGER);
  if (found === undefined) await createCheckpoint(deps.pool, { lane, projection: LEDGER, incarnation });
  else if (found.ms === 0 && found.incarnation !== incarnation)
    await restartCheckpoint(deps.pool, found, anew(incarnation));
  else return found;
  found = await findCheckpoint(deps.pool, lane, LEDGER);
  if (found === undefined) throw new Error(`the checkpoint of ${lane} was deleted while it was being made`);
  return found;
}

/** A life that shares nothing with those before. */
function anew(incarnation: string): NewLife {
  return { incarnation, ms: 0, seq: 0, token: "", isRepaired: true };
}

/** Whether somebody else has moved the checkpoint. Rows and checkpoint change together, so a checkpoint that stands proves the rows that were read before. */
async function hasMoved(deps: LaneDeps, ours: Checkpoint): Promise<boolean> {
  const now = await findCheckpoint(deps.pool, ours.lane, LEDGER);
  return now?.epoch !== ours.epoch || now.incarnation !== ours.incarnation || idOf(now) !== idOf(ours);
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

function createTrimmer(deps: LaneDeps, keys: LaneKeys) {
  let nextAt = performance.now() + deps.settings.trimEveryMs * Math.random();
  return async (checkpoint: Checkpoint) => {
    if (performance.now() < nextAt || checkpoint.ms === 0) return;
    nextAt = performance.now() + deps.settings.trimEveryMs;
    await trimTail({ redis: deps.redis, keys }, checkpoint, deps.settings.keepMs);
  };
}
