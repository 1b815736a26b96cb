import type { Redis } from "ioredis";
import { type Beat, beat, toBeat } from "../../streams/leases.ts";
import type { Notice } from "../middleware.ts";
import { type BeatThread, createMoments, DEADLINE_AT, FIRST_BEAT_AT, LOOP_AT, startBeatThread } from "./beat-thread.ts";
import { answerOf } from "./watch.ts";
import type { WorkLane } from "./work-lane.ts";

/** The share of a lease after which a worker that hears nothing stops believing in it. */
const BELIEF = 0.9;

/** Deadlines are told to the thread a little late, so that not every run has to. */
const DEADLINE_STEP_MS = 250;

/** Keeps a worker's leases alive, one for each of its lanes. */
export interface Lease {
  /** The first beat of each lane: from then on others see this worker. Rejects when Redis does not take it. */
  begin(): Promise<void>;
  /** A run has started that may take until then, by the monotonic clock, in ms. */
  expect(deadlineAt: number): void;
  /** Stops beating. No beat is sent afterwards. */
  close(): Promise<void>;
}

/** What leases rest on. */
export interface LeaseParts {
  readonly workLanes: readonly WorkLane[];
  /** For beats of our own, when there is no thread. */
  readonly redis: Redis;
  /** Undefined when only the user's function can connect: a thread cannot call it. */
  readonly url: string | undefined;
  readonly leaseMs: number;
  readonly maxBlockMs: number;
  readonly elapsed: () => number;
  readonly latestDeadline: () => number;
  readonly onBeat: (workLane: WorkLane, beat: Beat) => void;
  /** Nothing was heard for so long that others may own what this worker holds. */
  readonly onSilence: (workLane: WorkLane) => void;
  /** Called several times per lease. */
  readonly onTick: () => void;
  readonly announce: (notice: Notice) => void;
}

/** Beats from a thread, watches over it, and beats by itself when it must. */
export function createLease(parts: LeaseParts): Lease {
  const { workLanes, leaseMs } = parts;
  const moments = createMoments(workLanes.length);
  const { view } = moments;
  const elapsedAtZeroNs = process.hrtime.bigint() - toNs(parts.elapsed());
  const inFlight = new Set<Promise<void>>();
  const ownAt = new Map<WorkLane, bigint>();
  let thread: BeatThread | undefined;
  let timer: NodeJS.Timeout | undefined;
  let isClosed = false;
  let expected = 0;

  const ownBeat = async (workLane: WorkLane, lane: number) => {
    const sentAt = process.hrtime.bigint();
    ownAt.set(workLane, sentAt);
    const { consumer, lane: own } = workLane;
    const startedAt = performance.now();
    const answer = beat(parts.redis, own.keys, { consumer, leaseMs });
    const seen = await answerOf(parts.redis, answer, Math.min(2_000, leaseMs / 3));
    own.clock.learn(seen.nowMs, startedAt, performance.now()); // expiries go by Redis' clock from the first entry on
    if (sentAt > Atomics.load(view, FIRST_BEAT_AT + lane)) Atomics.store(view, FIRST_BEAT_AT + lane, sentAt);
    if (!isClosed) parts.onBeat(workLane, seen);
  };
  const tick = () => {
    const now = process.hrtime.bigint();
    Atomics.store(view, LOOP_AT, now);
    expected = parts.latestDeadline();
    Atomics.store(view, DEADLINE_AT, toShared(expected));
    for (const [lane, workLane] of workLanes.entries()) {
      const ageMs = Number(now - Atomics.load(view, FIRST_BEAT_AT + lane)) / 1e6;
      if (ageMs > leaseMs * BELIEF && !workLane.isLeaseLost) {
        workLane.isLeaseLost = true;
        parts.onSilence(workLane);
      }
      const sinceOwnMs = Number(now - (ownAt.get(workLane) ?? 0n)) / 1e6;
      const isNeeded = ageMs > leaseMs / (thread === undefined ? 3 : 2);
      if (isNeeded && sinceOwnMs > leaseMs / 6 && parts.redis.status === "ready") track(ownBeat(workLane, lane));
    }
    parts.onTick();
  };
  const track = (beating: Promise<void>) => {
    const quiet = beating.catch(() => {}); // its absence is what is noticed
    inFlight.add(quiet);
    void quiet.then(() => inFlight.delete(quiet));
  };
  const toShared = (elapsedMs: number) => (elapsedMs === 0 ? 0n : elapsedAtZeroNs + toNs(elapsedMs));

  return {
    async begin() {
      await Promise.all(workLanes.map(ownBeat));
      tick();
      timer = setInterval(tick, Math.min(250, Math.max(20, leaseMs / 20)));
      if (parts.url === undefined) return;
      thread = startBeatThread({
        url: parts.url,
        workLanes,
        leaseMs,
        maxBlockMs: parts.maxBlockMs,
        moments,
        onReply: (workLane, reply) => parts.onBeat(workLane, toBeat(reply)),
        onDeath: (error) =>
          parts.announce({
            kind: "problem",
            what: "the thread that keeps the worker's lease has died; the worker beats by itself until it is back, and must not block for long",
            error,
          }),
      });
    },
    expect(deadlineAt) {
      if (deadlineAt <= expected) return;
      expected = deadlineAt + DEADLINE_STEP_MS;
      Atomics.store(view, DEADLINE_AT, toShared(expected));
    },
    async close() {
      isClosed = true;
      clearInterval(timer);
      await Promise.all([thread?.close(), ...inFlight]);
    },
  };
}

function toNs(ms: number): bigint {
  return BigInt(Math.round(ms * 1_000)) * 1_000n;
}
