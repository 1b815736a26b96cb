import type { Redis } from "ioredis";
import type Redlock from "redlock";
import type { ExecutionStats, Lock } from "redlock";

/** A lock that is held. */
export interface HeldLock {
  readonly name: string;
  readonly value: string;
  /** On this machine's clock, in ms: from then on others may have it. */
  readonly expiresAt: () => number;
  /** Holds it for this long from now. False when it had been lost. Throws when Redis could not be asked. */
  extend(ttlMs: number): Promise<boolean>;
  /** Lets it go. One that had expired is none to let go: that is no error. */
  release(): Promise<void>;
}

/** What came of taking a lock. A refusal is a fact; that Redis could not be asked is an error and is thrown. */
export type Taking =
  | { readonly isTaken: true; readonly lock: HeldLock }
  | { readonly isTaken: false; readonly holder: string | undefined };

/** Takes locks by Redlock. */
export interface Locks {
  /**
   * Takes a lock in one try, without waiting. Re-entrant: a value that holds it already has it, for `ttlMs` more.
   * Throws LockUnavailable when a majority could be asked neither way.
   */
  take(name: string, value: string, ttlMs: number): Promise<Taking>;
}

/** Whether a lock was free could not be found out. */
export class LockUnavailable extends Error {
  constructor(name: string, cause: unknown) {
    super(
      `whether lock ${name} is free could not be found out: ${cause instanceof Error ? cause.message : String(cause)}`,
      { cause },
    );
    this.name = "LockUnavailable";
  }
}

/**
 * redlock's own acquire script refuses a value that holds the lock already: a run redelivered after a crash would be skipped by its own ghost.
 * A full memory allows PEXPIRE, and after that write the SET.
 */
const REENTRANT = `
  local holder = redis.call("get", KEYS[1])
  if holder and holder ~= ARGV[1] then return 0 end
  if redis.call("pexpire", KEYS[1], ARGV[2]) == 0 then redis.call("set", KEYS[1], ARGV[1], "PX", ARGV[2]) end
  return 1
`;

/** redlock's own sets the value anew, which a full memory refuses: a run would lose its lock because of it. */
const EXTENSION = `
  if redis.call("get", KEYS[1]) ~= ARGV[1] then return 0 end
  return redis.call("pexpire", KEYS[1], ARGV[2])
`;

/** How long a vote may take in all, in ms. */
const VOTE_MS = 5_000;

/**
 * Locks over one Redis, or over several independent ones. Their number is odd: redlock never settles a tied vote.
 * Throws RangeError on an even number.
 */
export async function openLocks(clients: readonly Redis[]): Promise<Locks> {
  if (clients.length % 2 === 0)
    throw new RangeError(
      `locks need an odd number of Redis servers, and got ${clients.length}: a tied vote would never be settled`,
    );
  const { default: RedlockClass } = await import("redlock");
  // One try: waiting for a lock is what a skip is there to avoid.
  const redlock = new RedlockClass(
    clients,
    { retryCount: 0 },
    { acquireScript: () => REENTRANT, extendScript: () => EXTENSION },
  );
  return {
    async take(name, value, ttlMs) {
      try {
        const lock = await inTime(acquire(redlock, { name, value, ttlMs }));
        if (lock.expiration > Date.now()) return { isTaken: true, lock: held(redlock, lock) };
        throw new Error("it had expired by the time it was granted");
      } catch (error) {
        if (!(await isRefusal(error))) throw new LockUnavailable(name, error);
        return { isTaken: false, holder: await holderOf(clients, name) };
      }
    },
  };
}

/** redlock draws a random value for each lock and has no option for it; it draws before its first await, so that setting it for one call is safe. */
function acquire(
  redlock: Redlock,
  { name, value, ttlMs }: { readonly name: string; readonly value: string; readonly ttlMs: number },
): Promise<Lock> {
  (redlock as unknown as { _random: () => string })._random = () => value;
  return redlock.acquire([name], Math.ceil(ttlMs));
}

function held(redlock: Redlock, first: Lock): HeldLock {
  let lock = first;
  return {
    name: first.resources[0] as string,
    value: first.value,
    expiresAt: () => lock.expiration,
    async extend(ttlMs) {
      if (lock.expiration < Date.now()) return false;
      try {
        lock = await inTime(redlock.extend(lock, Math.ceil(ttlMs)));
        return true;
      } catch (error) {
        if (await isRefusal(error)) return false;
        throw new LockUnavailable(first.resources[0] as string, error);
      }
    },
    async release() {
      await inTime(redlock.release(lock)).catch(async (error: unknown) => {
        if (!(await isRefusal(error))) throw new LockUnavailable(first.resources[0] as string, error);
      });
    },
  };
}

/** A refusal is a vote in which a majority said "held by another". Any other failure is an error and never a skip. */
async function isRefusal(error: unknown): Promise<boolean> {
  const [attempt] = (error as { attempts?: readonly (Promise<ExecutionStats> | ExecutionStats)[] }).attempts ?? [];
  if (attempt === undefined) return false;
  // It waits for every vote, also that of a server which never answers.
  const stats = await inTime(Promise.resolve(attempt)).catch(() => undefined);
  const against = [...(stats?.votesAgainst.values() ?? [])];
  return against.filter(({ name }) => name === "ResourceLockedError").length >= (stats?.quorumSize ?? 1);
}

/** The value that a majority of the servers has for a lock. Undefined: there is none, or it cannot be found out. Waits 5 s at most for those that do not answer. */
export function holderOf(clients: readonly Redis[], name: string): Promise<string | undefined> {
  const votes = new Map<string, number>();
  const count = new Promise<string | undefined>((resolve) => {
    const asked = clients.map(async (client) => {
      const holder = await client.get(name).catch(() => null);
      if (holder === null) return;
      votes.set(holder, (votes.get(holder) ?? 0) + 1);
      if ((votes.get(holder) as number) > clients.length / 2) resolve(holder);
    });
    void Promise.all(asked).then(() => resolve(undefined));
  });
  return inTime(count).catch(() => undefined);
}

async function inTime<T>(vote: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no majority answered within ${VOTE_MS} ms`)), VOTE_MS);
  });
  try {
    return await Promise.race([vote, late]);
  } finally {
    clearTimeout(timer);
  }
}
