import { randomBytes } from "node:crypto";
import { hostname } from "node:os";
import type { Redis } from "ioredis";
import { createCallNumbers, type NumberedCall } from "./call-numbers.ts";
import { ready, reconnectDelayMs, refusal, replaceLink } from "./connect.ts";
import { createFullness, type Fullness } from "./fullness.ts";
import { type LaneKeys, laneKeys, queuesKey } from "./keys.ts";
import { encodeHeader, type Shared } from "./ledger.ts";
import { runScript, type ScriptName } from "./scripts.ts";

/**
 * The format of keys, entries and ledger that this version writes, and the newest that it reads. It is compared when a lane is opened,
 * and told by every beat, and not by each script: entries and batches carry versions of their own, scripts hand on what they
 * do not understand as it is, and one more command would be a tenth of a lone call.
 */
export const FORMAT = 1;

/** Calls that one process may have on their way in one lane: as many as a lane remembers of it. */
export const CALLS_IN_FLIGHT = 16;

/** A name for this life of this process: host, pid and chance, so that no two are ever the same. */
export function newIncarnation(): string {
  const host = hostname().slice(0, 40);
  return `${host.replace(/[^\w.-]/g, "_")}-${process.pid}-${randomBytes(4).toString("hex")}`;
}

/** Redis' clock as seen from here, learnt from the answers of scripts. */
export interface RedisClock {
  /** Now, in ms since 1970, on Redis' clock. The machine's own until a first answer came. */
  now(): number;
  /** Takes in what a script said the time was, between sending and receiving (both by `performance.now()`). */
  learn(redisNowMs: number, sentAt: number, receivedAt: number): void;
  /** Redis' clock less this machine's, in ms. */
  offsetMs(): number;
}

/** A clock that trusts the answer that was quickest of late. */
export function createRedisClock(local: () => number = Date.now): RedisClock {
  let offset = 0;
  let bestRtt = Number.POSITIVE_INFINITY;
  return {
    now: () => local() + offset,
    offsetMs: () => offset,
    learn(redisNowMs, sentAt, receivedAt) {
      if (!Number.isFinite(redisNowMs)) return;
      const rtt = receivedAt - sentAt;
      bestRtt *= 1.01; // forgets: clocks drift, and a network may get slower
      if (rtt > bestRtt && Math.abs(redisNowMs - (local() + offset)) < rtt + 5) return;
      bestRtt = Math.min(bestRtt, rtt);
      const seen = Math.round(redisNowMs + rtt / 2 - local());
      // Redis tells whole milliseconds, and so does the machine: a difference of one is none.
      offset = Math.abs(seen) <= 1 ? 0 : seen;
    },
  };
}

/** A queue's one lane, as one process writes to it. */
export interface Lane {
  readonly namespace: string;
  readonly queue: string;
  readonly keys: LaneKeys;
  readonly redis: Redis;
  /** The process' incarnation, and chance: a process that opens a lane twice is two writers, each with call numbers of its own. */
  readonly incarnation: string;
  readonly clock: RedisClock;
  /** Takes the next call number: at once while fewer than sixteen calls are on their way, else once that is so. */
  nextCall(): NumberedCall | Promise<NumberedCall>;
  /** When a dispatch is to ask whether the lane takes any. */
  readonly fullness: Fullness;
  /** A ledger header for a call. 0 for one that carries no number: its batch gets a token of its own, counted downwards. */
  header(call: number, defaults?: Shared & { readonly worker?: string; readonly at?: number | undefined }): string;
}

/** What a lane is opened with. */
export interface LaneOptions {
  readonly redis: Redis;
  readonly namespace: string;
  readonly queue: string;
  readonly incarnation: string;
  readonly clock?: RedisClock;
}

/** Opens a lane: no command is sent. */
export function openLane({ redis, namespace, queue, clock = createRedisClock(), ...options }: LaneOptions): Lane {
  const incarnation = `${options.incarnation}.${randomBytes(3).toString("hex")}`;
  const nextCall = createCallNumbers(CALLS_IN_FLIGHT);
  let unnumbered = 0;
  return {
    namespace,
    queue,
    keys: laneKeys(namespace, queue),
    redis,
    incarnation,
    clock,
    fullness: createFullness(),
    nextCall,
    header: (call, { at = clock.now(), ...defaults } = {}) =>
      encodeHeader(
        { incarnation, call: call === 0 ? --unnumbered : call, clockOffsetMs: clock.offsetMs() },
        { queue, at: call === 0 ? undefined : at, ...defaults },
      ),
  };
}

/** How long, and until what, a call is tried again. */
export interface CallLimits {
  /** On `performance.now()`. Default: never. */
  readonly deadline?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** How long one try may take before its connection is taken for dead, in ms. Default 5,000. */
  readonly answerWithinMs?: number | undefined;
}

/** Why a call was given up. `wasSent`: Redis may have carried it out. */
export class CallFailed extends Error {
  readonly wasSent: boolean;
  constructor(name: ScriptName, cause: unknown, wasSent: boolean) {
    super(`Redis did not carry out ${name}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
    this.name = "CallFailed";
    this.wasSent = wasSent;
  }
}

/** One call of a script: what it is sent. */
export interface Call {
  readonly script: ScriptName;
  readonly keys: readonly string[];
  /** A function is asked anew for each try: the batch of a call without a number needs a token of its own, or two would share one. */
  readonly args: readonly (string | number)[] | (() => readonly (string | number)[]);
}

/**
 * Calls a script until it has answered: the same call, with the same number, over every reconnect, until the deadline or the abort.
 * Waits while Redis is away or its memory is full, unless there is a deadline: then a full memory is told at once.
 */
export async function callScript(
  lane: Pick<Lane, "redis" | "clock">,
  call: Call,
  limits: CallLimits = {},
): Promise<unknown[]> {
  const { deadline = Number.POSITIVE_INFINITY, signal } = limits;
  let wasSent = false; // without an answer, so that it may have been, or may yet be, carried out
  let cause: unknown; // none while it has not been tried: to make an error, with its stack, takes longer than to send a call
  for (let attempt = 1; ; attempt += 1) {
    const left = deadline - performance.now();
    if (left <= 0 || signal?.aborted === true)
      throw new CallFailed(call.script, cause ?? new Error("not connected"), wasSent);
    if (lane.redis.status !== "ready" && !(await ready(lane.redis, Math.min(left, 2_000), signal))) continue;
    const sentAt = performance.now();
    try {
      const args = typeof call.args === "function" ? call.args() : call.args;
      const answer = runScript(lane.redis, call.script, call.keys, args);
      const reply = await answerWithin(lane.redis, answer, { left, silence: limits.answerWithinMs ?? 5_000 });
      lane.clock.learn(Number((reply as unknown[])[1]), sentAt, performance.now());
      return reply as unknown[];
    } catch (error) {
      cause = error;
      wasSent ||= !isAnswer(error);
      const kind = refusal(error);
      if (kind !== "away" && !(kind === "full" && deadline === Number.POSITIVE_INFINITY))
        throw new CallFailed(call.script, error, wasSent);
    }
    await pause(Math.min(reconnectDelayMs(attempt), Math.max(0, deadline - performance.now())), signal);
  }
}

/** True for an error by which Redis, or the driver before it sent anything, refused a call: nothing of it was done. */
function isAnswer(error: unknown): boolean {
  return error instanceof Error && (error.name === "ReplyError" || error.message.includes("isn't writeable"));
}

/**
 * Gives up on an answer when the time left is over, and on a connection that stays silent for too long: it is closed,
 * so that the driver makes a new one, also when the caller has given up before.
 */
function answerWithin<T>(
  redis: Redis,
  answer: Promise<T>,
  { left, silence }: { readonly left: number; readonly silence: number },
): Promise<T> {
  return new Promise((resolve, reject) => {
    const wait = Math.min(left, silence);
    // One timer for both, since each call takes one; nobody calls again on that link within a millisecond.
    let timer = setTimeout(() => {
      timer = setTimeout(replaceLink, silence - wait, redis);
      reject(new Error("Command timed out"));
    }, wait);
    const then = <V>(tell: (value: V) => void) => {
      return (value: V) => {
        clearTimeout(timer);
        tell(value);
      };
    };
    answer.then(then(resolve), then(reject));
  });
}

/** Waits, unless the signal is aborted first. Never rejects. */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted === true) return Promise.resolve();
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal?.addEventListener("abort", done, { once: true });
  });
}

/**
 * Makes what a lane needs before it can be read: the consumer groups, at the beginning, and the lane's entry in the list of queues.
 * Does nothing when it is all there. Throws when the lane is written in a newer format.
 */
export async function ensureLane(redis: Redis, namespace: string, queue: string): Promise<void> {
  const { tasks, again, meta } = laneKeys(namespace, queue);
  const incarnation = randomBytes(6).toString("hex");
  const [format] = (await runScript(redis, "open", [tasks, again, meta], [FORMAT, incarnation])) as [string];
  if (Number(format) > FORMAT)
    throw new Error(
      `queue "${queue}" is written in format ${format}, and this version reads up to ${FORMAT}: update tasktrail here`,
    );
  await registerQueue(redis, namespace, queue).catch((error: unknown) => {
    if (refusal(error) !== "full") throw error; // the list is for tools; a worker must start, since it makes room
  });
}

/** Puts a queue on the namespace's list. */
export async function registerQueue(redis: Redis, namespace: string, queue: string): Promise<void> {
  await redis.sadd(queuesKey(namespace), queue);
}

/** The queues that were ever written to, by name. */
export async function listQueues(redis: Redis, namespace: string): Promise<string[]> {
  return (await redis.smembers(queuesKey(namespace))).sort();
}

/** Which life of the lane this is. Made when the lane has none yet. */
export async function laneIncarnation(redis: Redis, keys: LaneKeys): Promise<string> {
  const known = await redis.hget(keys.meta, "incarnation");
  if (known !== null) return known; // asked first: a full memory refuses the write, and the archive must go on, since it makes room
  await redis.hsetnx(keys.meta, "incarnation", randomBytes(6).toString("hex"));
  return (await redis.hget(keys.meta, "incarnation")) ?? "";
}
