import type { EntryMeta, EntrySlot } from "../../streams/entry.ts";
import { type HeldLock, type Locks, LockUnavailable, type Taking } from "../../streams/locks.ts";
import { cancel, passTurn } from "../../streams/schedules.ts";
import type { TaskRecord } from "../define/task.ts";
import type { Hold } from "../deliver/work-lane.ts";

/** A run that may not run beside another of its schedule. */
export interface Candidate {
  readonly hold: Hold;
  readonly record: TaskRecord;
  readonly meta: EntryMeta;
}

/** Whether a run may start. `later`: it is asked again after a while, or told that it is its turn; `error` says why it could not be found out. */
export type Entrance =
  | { readonly kind: "open"; readonly lock: HeldLock }
  | { readonly kind: "held"; readonly holder: string | undefined }
  | { readonly kind: "later"; readonly delayMs: number; readonly isInTurn?: true; readonly error?: unknown };

/** The overlap lock of cron runs: its value is the run's id, so that a run that is delivered again holds it already. */
export interface Overlap {
  /** Takes the lock, or says what the schedule's policy makes of another run's holding it. Never throws. */
  enter(candidate: Candidate): Promise<Entrance>;
  /** To be called once a run waits for its turn: the one that it waits for may have ended a moment before, and told nobody. Never throws. */
  lookAgain(candidate: Candidate): void;
  /** Lets go of a lock that an earlier attempt of a run had taken, when the run ends without starting again. Never throws. */
  forget(candidate: Candidate): void;
}

/** How the runs of a schedule exclude each other: those of `cron()` as the code of this worker says, others as their entry does. */
export function exclusionOf(record: TaskRecord, { cron: slot }: EntryMeta): NonNullable<EntrySlot["lock"]> | undefined {
  const { cron } = record;
  if (slot === undefined) return undefined;
  const found = slot.lock ?? (cron === undefined ? undefined : { overlap: cron.overlap, ttlMs: cron.lockTtlMs });
  return found?.overlap === "allow" ? undefined : found;
}

/** True when a run may not run beside another of its schedule. */
export function isExclusive(record: TaskRecord, meta: EntryMeta): boolean {
  return exclusionOf(record, meta) !== undefined;
}

/** What the overlap lock works with. */
export interface OverlapParts {
  readonly locks: () => Promise<Locks>;
  readonly random: () => number;
  readonly onError: (error: unknown, candidate: Candidate) => void;
}

/** How long a run waits that was not let in, in ms. */
const ASK_AGAIN_MS = { least: 1_000, most: 5_000 };

/** Asks by Redlock. Only a true refusal counts as held: whatever else goes wrong is an error, and never a skip. */
export function createOverlap({ locks, random, onError }: OverlapParts): Overlap {
  const later = (error?: unknown) => {
    const delayMs = Math.round(ASK_AGAIN_MS.least + random() * (ASK_AGAIN_MS.most - ASK_AGAIN_MS.least));
    return { kind: "later", delayMs, ...(error === undefined ? undefined : { error }) } as const;
  };
  return {
    async enter(candidate) {
      const { record, hold, meta } = candidate;
      const { overlap, ttlMs } = exclusionOf(record, meta) as NonNullable<EntrySlot["lock"]>;
      try {
        const taking = await take(await locks(), candidate, ttlMs);
        if (taking.isTaken) return { kind: "open", lock: taking.lock };
        if (meta.cron?.isOwed === true) return await waitForTurn(candidate, ttlMs);
        if (overlap === "queue_one") return await queueOne(candidate, ttlMs);
        if (overlap === "skip") return { kind: "held", holder: taking.holder };
        if (overlap === "cancel_other" && taking.holder !== undefined) {
          const reason = `the next slot of ${record.name} has come`;
          await cancel(hold.workLane.lane, { run: taking.holder, task: record.name, reason });
        }
        return later();
      } catch (error) {
        return later(error);
      }
    },
    lookAgain(candidate) {
      locks()
        .then((all) => passIfFree(all, candidate))
        .catch((error: unknown) => onError(error, candidate));
    },
    forget(candidate) {
      leaveTurn(candidate).catch((error: unknown) => onError(error, candidate));
      if (!mayHaveHeld(candidate)) return;
      void locks()
        .then((all) => all.take(lockName(candidate), candidate.hold.delivery.entry.run, PROBE_MS))
        .then((taking) => (taking.isTaken ? taking.lock.release() : undefined))
        .catch((error: unknown) => onError(error, candidate));
    },
  };
}

/** How often a lock is taken out of the hands of a run that has ended before it is left for later: others may want it, too. */
const TRIES = 3;

/**
 * Takes the lock, also where a run has left it behind that has ended: its worker may have died between the two. That it has is known by the note
 * that its accepted ending left in the same step, and never guessed from its silence.
 */
async function take(locks: Locks, candidate: Candidate, ttlMs: number): Promise<Taking> {
  const { lane } = candidate.hold.workLane;
  const name = lockName(candidate);
  for (let tries = 0; tries < TRIES; tries += 1) {
    const taking = await locks.take(name, candidate.hold.delivery.entry.run, ttlMs);
    if (taking.isTaken || taking.holder === undefined) return taking;
    if ((await lane.redis.exists(lane.keys.ended(taking.holder))) === 0) return taking;
    const left = await locks.take(name, taking.holder, PROBE_MS); // in its name: if another has it by now, that one keeps it
    if (left.isTaken) await left.lock.release();
  }
  throw new LockUnavailable(name, new Error("runs that have ended keep holding it"));
}

/** For how long the lock of a run that ends now may last, in ms: too long rather than too short. Undefined: it has never had one. */
export function lockLeft(candidate: Candidate & { readonly lock?: HeldLock | undefined }): number | undefined {
  const { record, meta, lock } = candidate;
  if (lock === undefined && !mayHaveHeld(candidate)) return undefined;
  const leftMs = lock === undefined ? (exclusionOf(record, meta)?.ttlMs ?? 0) : lock.expiresAt() - Date.now();
  return 2 * Math.max(0, leftMs) + TURN_MS.least;
}

/** False for the first delivery of the first attempt before it starts: it has never had the lock. */
function mayHaveHeld({ hold }: Candidate): boolean {
  return hold.delivery.entry.attempt !== 1 || hold.delivery.delivery !== 1;
}

/** How long a run waits for its turn, in ms: it is told when that has come, and looks by itself when its lock must have ended. */
const TURN_MS = { least: 60_000, most: 900_000 };

/** Has a run wait until the one that holds the lock has ended, and those of slots before its own. */
async function waitForTurn(candidate: Candidate, ttlMs: number): Promise<Entrance> {
  await queueUp(candidate);
  return { kind: "later", delayMs: Math.min(Math.max(ttlMs, TURN_MS.least), TURN_MS.most), isInTurn: true };
}

async function queueUp({ hold, meta }: Candidate): Promise<void> {
  const { lane } = hold.workLane;
  const { schedule, at } = meta.cron as EntrySlot;
  await lane.redis.zadd(lane.keys.turns(schedule), at, hold.delivery.entry.run);
}

/** Passes the turn on in the place of a run that has ended before this one waited, and so has passed it over. */
async function passIfFree(locks: Locks, candidate: Candidate): Promise<void> {
  await queueUp(candidate);
  const { hold, meta } = candidate;
  const taking = await take(locks, candidate, PROBE_MS);
  if (!taking.isTaken) return;
  await taking.lock.release();
  const limits = { deadline: performance.now() + PASS_MS };
  await passTurn(hold.workLane.lane, (meta.cron as EntrySlot).schedule, "", limits);
}

/** How long a lock lives that is taken to see whether it is free, in ms. */
const PROBE_MS = 1_000;

/** Has a run wait when none of an earlier slot does already. Those that have gone since are cleared away when the one at work ends. */
async function queueOne(candidate: Candidate, ttlMs: number): Promise<Entrance> {
  const { hold, meta } = candidate;
  const { lane } = hold.workLane;
  const { run } = hold.delivery.entry;
  const turns = lane.keys.turns(meta.cron?.schedule ?? "");
  const entrance = await waitForTurn(candidate, ttlMs);
  const [first] = await lane.redis.zrange(turns, "0", "0");
  if (first === undefined || first === run) return entrance;
  await lane.redis.zrem(turns, run);
  return { kind: "held", holder: first };
}

/** How long Redis may take to pass a turn on, in ms: after that, runs look by themselves. */
const PASS_MS = 10_000;

/** Tells the run whose slot comes next that it is its turn, now that the one of this candidate has ended. */
export async function leaveTurn({ hold, meta, record }: Candidate): Promise<void> {
  if (meta.cron === undefined) return;
  if (meta.cron.isOwed !== true && exclusionOf(record, meta)?.overlap !== "queue_one") return;
  const limits = { deadline: performance.now() + PASS_MS };
  await passTurn(hold.workLane.lane, meta.cron.schedule, hold.delivery.entry.run, limits);
}

/** Calls `onExpiry` once when a lock ends while its run goes on. Returns what stops the watch. */
export function watchLock(lock: HeldLock, onExpiry: () => void): () => void {
  let timer: NodeJS.Timeout;
  const look = () => {
    const left = lock.expiresAt() - Date.now(); // it may have been extended
    if (left <= 0) return onExpiry();
    timer = setTimeout(look, Math.min(left + 1, LONGEST_WAIT_MS));
    timer.unref();
  };
  look();
  return () => clearTimeout(timer);
}

/** The longest that a timer of Node can wait. */
const LONGEST_WAIT_MS = 2_147_483_647;

function lockName({ hold, meta }: Candidate): string {
  return hold.workLane.lane.keys.lock(meta.cron?.schedule ?? "");
}
