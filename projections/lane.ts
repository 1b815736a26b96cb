import type { DatabasePool } from "slonik";
import { type Checkpoint, createCheckpoint, findCheckpoint, restartCheckpoint } from "../sql/queries/checkpoints.ts";
import { listParked } from "../sql/queries/parked.ts";
import { loadRows } from "../sql/table.ts";
import { type LaneKeys, laneKeys } from "../streams/keys.ts";
import { laneIncarnation, pause } from "../streams/lane.ts";
import type { LedgerEntry } from "../streams/ledger.ts";
import { laneName } from "./archive.ts";
import { type Batch, type Folded, foldShare, shareOf, toBatch } from "./batch.ts";
import { type Commit, commitBatch } from "./commit.ts";
import { type AnyProjection, HistoryViolation } from "./projection.ts";
import { answered, connected, HistoryDiverged, idOf, type Redis, readAfter, waitAfter } from "./read.ts";
import type { ProjectorSettings } from "./settings.ts";
import { trimTail } from "./trim.ts";

/** The checkpoint that archive and tables share: they move together. */
export const LEDGER = "ledger";

/** What the projector tells of its work. */
export type ProjectorNotice =
  | {
      readonly kind: "batch.projected";
      readonly queue: string;
      readonly events: number;
      readonly rows: number;
      readonly tookMs: number;
    }
  | {
      readonly kind: "problem";
      readonly what: string;
      readonly error?: unknown;
      readonly facts?: Readonly<Record<string, unknown>>;
    };

/** `following`: up to date or on its way. `standby`: another projector has the lane. `failing`: something is away, and it is tried again. */
export type LaneState = "starting" | "following" | "standby" | "failing" | "stopped";

/** What a lane is projected with. */
export interface LaneDeps {
  readonly namespace: string;
  readonly queue: string;
  readonly projections: readonly AnyProjection[];
  readonly pool: DatabasePool;
  /** For commands. */
  readonly redis: Redis;
  /** This lane's own, for blocking reads. */
  readonly blocking: Redis;
  readonly settings: ProjectorSettings;
  announce(notice: ProjectorNotice): void;
  /** Told at each change, and with each successful read. */
  tell(state: LaneState): void;
  /** Makes the archive's partitions for the days of a batch, when they are not there yet. Never rejects. */
  prepareDays(fromMs: number, untilMs: number): Promise<void>;
}

/**
 * Projects one lane until aborted: exactly once, whoever else does it too. What is away is waited for. Throws HistoryDiverged and
 * HistoryViolation, which do not pass by themselves.
 */
export async function projectLane(deps: LaneDeps, signal: AbortSignal): Promise<void> {
  const disconnect = () => deps.blocking.disconnect(false);
  signal.addEventListener("abort", disconnect, { once: true });
  try {
    for (let failures = 0; !signal.aborted; ) {
      try {
        await followLane(deps, signal, () => {
          failures = 0;
        });
        if (!signal.aborted) await standBy(deps, signal);
      } catch (error) {
        if (signal.aborted) return;
        if (error instanceof HistoryViolation || error instanceof HistoryDiverged) throw error;
        failures += 1;
        deps.tell("failing");
        if (failures === 1 || failures % 10 === 0)
          deps.announce({
            kind: "problem",
            what: `cannot project queue "${deps.queue}"; it will be tried again`,
            error,
            facts: { queue: deps.queue, failures },
          });
        await pause(backoffMs(failures, deps.settings), signal);
      }
    }
  } finally {
    signal.removeEventListener("abort", disconnect);
    deps.tell("stopped");
  }
}

/** Waits between failures: doubling from `backoffMs` to `mostBackoffMs`, the upper half of each at random. */
export function backoffMs(
  failures: number,
  { backoffMs: first, mostBackoffMs }: Pick<ProjectorSettings, "backoffMs" | "mostBackoffMs">,
  random = Math.random,
): number {
  const whole = Math.min(first * 2 ** Math.min(failures - 1, 20), mostBackoffMs);
  return whole / 2 + (whole / 2) * random();
}

/** Batch after batch, as the lane's owner. Returns when another projector turns out to own it, or when aborted. */
async function followLane(deps: LaneDeps, signal: AbortSignal, onProgress: () => void): Promise<void> {
  const keys = laneKeys(deps.namespace, deps.queue);
  await connected(deps.redis, signal);
  let checkpoint = await openCheckpoint(deps, keys);
  const parked = await findParkedKeys(deps);
  const size = createBatchSize(deps.settings);
  const trim = createTrimmer(deps, keys);
  const read = (from: Checkpoint) => readAfter(deps.redis, keys, from, size.count());
  let ahead: Promise<LedgerEntry[]> | undefined;
  while (!signal.aborted) {
    const entries = await (ahead ?? read(checkpoint));
    ahead = undefined;
    deps.tell("following");
    if (entries.length === 0) {
      onProgress();
      await trim(checkpoint);
      await connected(deps.blocking, signal);
      if (!signal.aborted) await waitAfter(deps.blocking, keys, idOf(checkpoint), deps.settings.blockMs);
      continue;
    }
    size.learn(entries);
    const startedAt = performance.now();
    const batch = toBatch(entries, checkpoint);
    const folded = await foldBatch(deps, batch, parked);
    await deps.prepareDays(batch.archived[0]?.ms ?? 0, batch.to.ms);
    const next = moved(checkpoint, batch);
    const committing = commitBatch(deps.pool, checkpoint, batch, folded);
    ahead = read(next); // Redis and Postgres work at the same time
    ahead.catch(() => {});
    const commit = await committing;
    if (commit.outcome === "lost") return;
    onProgress();
    checkpoint = next;
    tellOf(deps, { batch, commit, parked, tookMs: performance.now() - startedAt });
    await trim(checkpoint);
    if (entries.length < deps.settings.lingerBelow) await pause(deps.settings.lingerMs, signal);
  }
}

/** Waits until the lane's checkpoint has stood still for a while although there is something to do, or nobody needs to be waited for. */
async function standBy(deps: LaneDeps, signal: AbortSignal): Promise<void> {
  const lane = laneName(deps.namespace, deps.queue);
  let seen = "";
  while (!signal.aborted) {
    deps.tell("standby");
    const checkpoint = await findCheckpoint(deps.pool, lane, LEDGER);
    const position = `${checkpoint?.epoch} ${checkpoint && idOf(checkpoint)}`;
    if (position === seen) return;
    seen = position;
    await pause(deps.settings.standbyMs * (0.75 + Math.random() / 2), signal);
  }
}

async function openCheckpoint(deps: LaneDeps, keys: LaneKeys): Promise<Checkpoint> {
  const lane = laneName(deps.namespace, deps.queue);
  const incarnation = await answered(deps.redis, laneIncarnation(deps.redis, keys));
  let found = await findCheckpoint(deps.pool, lane, LEDGER);
  if (found === undefined) await createCheckpoint(deps.pool, lane, LEDGER, incarnation);
  else if (found.ms === 0 && found.incarnation !== incarnation) await restartCheckpoint(deps.pool, found, incarnation);
  else return found;
  found = await findCheckpoint(deps.pool, lane, LEDGER);
  if (found === undefined) throw new Error(`the checkpoint of ${lane} was deleted while it was being made`);
  return found;
}

/** The parked keys of each projection. Whoever takes a key back raises the epoch, so that this is read again. */
async function findParkedKeys({ pool, namespace }: LaneDeps): Promise<Map<string, Set<string>>> {
  const parked = new Map<string, Set<string>>();
  for (const { projection, key } of await listParked(pool, namespace)) {
    parked.set(projection, (parked.get(projection) ?? new Set()).add(key));
  }
  return parked;
}

async function foldBatch(
  { pool, namespace, projections }: LaneDeps,
  batch: Batch,
  parked: Map<string, Set<string>>,
): Promise<Folded[]> {
  return Promise.all(
    projections.map(async (projection) => {
      const share = shareOf(projection, batch.events, parked.get(projection.name) ?? new Set());
      const keys = [...new Set(share.steps.map(({ key }) => key))];
      return foldShare(share, await loadRows(pool, projection.table, namespace, keys));
    }),
  );
}

function moved(from: Checkpoint, { to }: Batch): Checkpoint {
  return { ...from, ms: to.ms, seq: to.seq, token: to.token };
}

type Outcome = {
  batch: Batch;
  commit: Extract<Commit, { outcome: "done" }>;
  parked: Map<string, Set<string>>;
  tookMs: number;
};

function tellOf(deps: LaneDeps, { batch, commit, parked, tookMs }: Outcome): void {
  for (const { projection, key, event, error } of commit.refusals) {
    parked.set(projection, (parked.get(projection) ?? new Set()).add(key));
    deps.announce({
      kind: "problem",
      what: `projection ${projection} cannot take ${event.type}; the key ${key} is parked, and everything else goes on`,
      error,
      facts: { projection, key, position: event.position },
    });
  }
  deps.announce({ kind: "batch.projected", queue: deps.queue, events: batch.to.events, rows: commit.rows, tookMs });
}

/** How many entries to ask for: as many as come to `batchBytes`, by what the last ones were like. */
function createBatchSize({ batchEntries, batchBytes }: ProjectorSettings) {
  let count = Math.min(batchEntries, 16); // sixteen of the largest are four megabytes
  return {
    count: () => count,
    learn(entries: readonly LedgerEntry[]) {
      const bytes = entries.reduce((sum, entry) => sum + entry.header.length + entry.events.length, 0);
      const fitting = Math.floor((batchBytes * entries.length) / Math.max(bytes, 1));
      count = Math.max(1, Math.min(fitting, batchEntries, count * 4));
    },
  };
}

function createTrimmer(deps: LaneDeps, keys: LaneKeys) {
  let nextAt = performance.now() + deps.settings.trimEveryMs * Math.random();
  return async (checkpoint: Checkpoint) => {
    if (performance.now() < nextAt || checkpoint.ms === 0) return;
    nextAt = performance.now() + deps.settings.trimEveryMs;
    await trimTail(deps.redis, keys, checkpoint, deps.settings.keepMs);
  };
}
