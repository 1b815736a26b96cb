import type { Hold, HoldPhase } from "./work-lane.ts";

/** Work that is read ahead of the free slots, in ms: what a round trip to Redis is hidden behind. */
const AHEAD_MS = 20;
/** Most entries read ahead, and most bytes. */
const MOST_AHEAD = 1_000;
const MOST_AHEAD_BYTES = 4_194_304;
/** Most entries that one worker holds of all its lanes: below the 10,000 that settle.lua looks at, or their fence would be cut off. */
const MOST_HELD = 9_000;
/** How fast the rate follows what happens, in ms of work. */
const FOLLOW_MS = 20;
/** After so long without work, in ms, it is not known any more how fast the next will be. */
const FORGET_MS = 1_000;

/** Counts what a worker holds, and says how much more it may take. */
export interface Capacity {
  readonly concurrency: number;
  /** Moves a hold to its next phase. */
  shift(hold: Hold, to: HoldPhase): void;
  /** Counts a hold that has just come. */
  took(hold: Hold): void;
  countOf(phase: Exclude<HoldPhase, "gone">): number;
  /** Entries that may be taken now; 0 or more. */
  room(): number;
  /** Entries that may be taken over from other workers, at most one per slot; 0 or more. */
  roomForOthers(): number;
  /** Resolves once there is room worth a read, or the signal is aborted. */
  whenRoom(signal: AbortSignal): Promise<void>;
}

/**
 * Room is what slots are free, and a read-ahead of about 20 ms of work as fast as it went of late: none for slow tasks. Waiting for entries
 * is no work: were it counted, a slow answer would make the next reads small, and those the work slow.
 * Outcomes that Redis has not taken yet count against it past one per slot, or past half of the read-ahead, or a worker would go on
 * running what it cannot settle.
 * Suspects that wait for each other do not count, since the slots are not what they wait for; as many as there are slots may do so.
 */
export function createCapacity(concurrency: number, elapsed: () => number): Capacity {
  const counts = { waiting: 0, suspects: 0, running: 0, settling: 0 };
  const waiters: (() => void)[] = [];
  let doneCount = 0;
  let windowAt = elapsed();
  let idleSince = windowAt;
  let perMs = 0;
  let bytesEach = 500;

  const isIdle = () => counts.waiting + counts.suspects + counts.running === 0;
  const workBegins = () => {
    const idleMs = elapsed() - idleSince;
    windowAt += idleMs;
    if (idleMs > FORGET_MS) perMs = 0;
  };
  const ahead = () => {
    const now = isIdle() ? idleSince : elapsed();
    if (now === idleSince && elapsed() - now > FORGET_MS) return 0;
    const took = now - windowAt;
    if (took >= 1) {
      perMs += (1 - Math.exp(-took / FOLLOW_MS)) * (doneCount / took - perMs);
      doneCount = 0;
      windowAt = now;
    }
    return Math.min(MOST_AHEAD, MOST_AHEAD_BYTES / bytesEach, perMs * AHEAD_MS) | 0;
  };
  const roomWith = (readAhead: number) => {
    const { waiting, running, settling } = counts;
    const unsettled = Math.max(0, settling - Math.max(concurrency, readAhead / 2));
    const free = Math.floor(concurrency + readAhead - waiting - running - unsettled);
    return Math.max(0, Math.min(free, MOST_HELD - waiting - counts.suspects - running - settling));
  };
  /** While work goes fast, reading for each slot that comes free would be a round trip per run. */
  const isWorthARead = () => {
    const readAhead = ahead();
    const room = roomWith(readAhead);
    return counts.waiting === 0 ? room > 0 : room > Math.min(readAhead, MOST_AHEAD / 2) / 4;
  };
  const wake = () => {
    if (isWorthARead()) for (const resolve of waiters.splice(0)) resolve();
  };

  return {
    concurrency,
    took(hold) {
      if (isIdle()) workBegins();
      counts[counted(hold, "waiting")] += 1;
      bytesEach += (hold.delivery.entry.body.length + hold.delivery.entry.meta.length - bytesEach) / 64;
    },
    shift(hold, to) {
      const from = hold.phase;
      if (from === to || from === "gone") return;
      counts[counted(hold, from)] -= 1;
      hold.phase = to;
      if (to !== "gone") counts[to] += 1;
      if (to === "waiting" || to === "running") return; // makes no room
      if (from !== "settling") {
        doneCount += 1;
        if (isIdle()) idleSince = elapsed();
      }
      if (waiters.length > 0) wake();
    },
    countOf: (phase) => (phase === "waiting" ? counts.waiting + counts.suspects : counts[phase]),
    room: () => roomWith(ahead()),
    roomForOthers: () => Math.max(0, Math.min(roomWith(ahead()), concurrency - counts.suspects)),
    whenRoom(signal) {
      if (signal.aborted || isWorthARead()) return Promise.resolve();
      return new Promise((resolve) => {
        const done = () => {
          signal.removeEventListener("abort", done);
          resolve();
        };
        signal.addEventListener("abort", done, { once: true });
        waiters.push(done);
      });
    },
  };
}

function counted(hold: Hold, phase: Exclude<HoldPhase, "gone">): "suspects" | Exclude<HoldPhase, "gone"> {
  return phase === "waiting" && hold.delivery.isSuspect ? "suspects" : phase;
}
