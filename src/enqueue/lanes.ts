import type { Redis } from "ioredis";
import type { NumberedCall } from "../../streams/call-numbers.ts";
import { refusal } from "../../streams/connect.ts";
import type { Enqueued, EnqueueRecord } from "../../streams/enqueue.ts";
import { createRunIds, type RunIds } from "../../streams/ids.ts";
import { createRedisClock, type Lane, openLane, type RedisClock, registerQueue } from "../../streams/lane.ts";
import type { Durability } from "../define/broker.ts";
import { invalidOption } from "../errors.ts";
import { askBy, Unanswered } from "./ask.ts";
import { type Coalescer, createCoalescer } from "./coalesce.ts";
import type { Connection } from "./connection.ts";
import { createConfirm, whyNot } from "./durability.ts";
import { createPlainRecords, type PlainRecords } from "./plain-record.ts";

/** A queue's lane as dispatches use it. */
export interface DispatchLane {
  readonly lane: Lane;
  readonly runIds: RunIds;
  readonly plainRecords: PlainRecords;
  readonly coalescer: Coalescer;
  /** Waits until Redis vouches for what it has just taken, if that is asked for. Throws Unconfirmed at the deadline (on `performance.now()`). */
  readonly confirm: ((deadline: number) => Promise<void>) | undefined;
}

/** The lanes of one broker, all on its one connection and by one clock. */
export interface Lanes {
  /** The lane, if it is open and Redis' clock is known. */
  get(queue: string): DispatchLane | undefined;
  /** Opens a lane, and sees what time it is in Redis. Throws Unanswered when Redis is silent until the deadline (on `performance.now()`), InvalidOption when it cannot vouch for dispatches as it should. */
  open(queue: string, deadline: number): Promise<DispatchLane>;
  /** Why there is no connection, as far as that is known. */
  trouble(): Error | undefined;
  /** Redis' clock, in ms, as far as it is known. */
  nowMs(): number;
  /** The lane alone; sends nothing. */
  lane(queue: string): Promise<Lane>;
}

/** What lanes are made of. */
export interface LanesParts {
  readonly connection: Connection;
  readonly namespace: () => string;
  readonly incarnation: string;
  readonly enqueueTimeoutMs: () => number;
  readonly durability: Durability;
  /** Hears of what Redis has taken. */
  readonly onTaken: (queue: string, records: readonly EnqueueRecord[], call: Enqueued) => void;
}

/** Makes lanes when they are asked for. */
export function createLanes(parts: LanesParts): Lanes {
  const { connection } = parts;
  // By a clock that nobody sets: else a dispatch just after the machine's was set would have a delay that much off.
  const clock = createRedisClock(() => Math.floor(performance.timeOrigin + performance.now()));
  const lanes = new Map<string, DispatchLane>();
  let isClockSet = false;
  let isVouching = parts.durability === "async";
  let asking: Promise<void> | undefined;

  /** Asks for the time, together with all who want to know it now. Comes back without it when only their time was up. */
  const learnTime = async (deadline: number): Promise<void> => {
    asking ??= askBy(connection, deadline, (redis) => setClock(redis, clock));
    try {
      await asking;
      isClockSet = true;
    } catch (error) {
      asking = undefined;
      const mayTryAgain = error instanceof Unanswered && refusal(error.cause) === "away";
      if (!mayTryAgain || performance.now() >= deadline) throw error;
    }
  };
  const checkVouching = async (level: Exclude<Durability, "async">, deadline: number) => {
    const problem = await askBy(connection, deadline, (redis) => whyNot(redis, level));
    if (problem !== undefined) throw invalidOption("durability", `"${level}" cannot be had: ${problem}`);
    isVouching = true;
  };
  const make = async (queue: string): Promise<DispatchLane> => {
    const redis = await connection.client();
    const known = lanes.get(queue);
    if (known !== undefined) return known;
    const { incarnation } = parts;
    const lane = holding(openLane({ redis, namespace: parts.namespace(), queue, incarnation, clock }), connection);
    const register = once(() => registerQueue(redis, lane.namespace, queue));
    const coalescer = createCoalescer({
      lane,
      answerWithinMs: parts.enqueueTimeoutMs() * 0.4, // so that there is time for another try on a new connection
      onCall() {
        if (redis.status === "ready") register();
      },
      onTaken: (records, call) => parts.onTaken(queue, records, call),
    });
    const { durability: level } = parts;
    const confirm = level === "async" ? undefined : createConfirm({ lane, level, connection });
    const made = { lane, runIds: createRunIds(queue), plainRecords: createPlainRecords(), coalescer, confirm };
    lanes.set(queue, made);
    return made;
  };

  return {
    get: (queue) => (isClockSet && isVouching ? lanes.get(queue) : undefined),
    trouble: connection.trouble,
    nowMs: clock.now,
    lane: async (queue) => (await make(queue)).lane,
    async open(queue, deadline) {
      while (!isClockSet) await learnTime(deadline);
      if (parts.durability !== "async" && !isVouching) await checkVouching(parts.durability, deadline);
      return make(queue);
    },
  };
}

/** Run ids, delays and deadlines go by Redis' clock, so it is asked before the first of them is made. */
export async function setClock(redis: Redis, clock: RedisClock): Promise<void> {
  const sentAt = performance.now();
  const [seconds, micros] = await redis.time();
  clock.learn(Number(seconds) * 1_000 + Math.floor(Number(micros) / 1_000), sentAt, performance.now());
}

/** A lane whose calls hold the connection for as long as they are on their way. */
function holding(lane: Lane, connection: Connection): Lane {
  return {
    ...lane,
    nextCall() {
      connection.hold();
      const held = ({ number, done }: NumberedCall) => ({
        number,
        done() {
          done();
          connection.release();
        },
      });
      const call = lane.nextCall();
      return "then" in call ? call.then(held) : held(call);
    },
  };
}

/** Does it the first time, and again as long as it has failed. */
function once(work: () => Promise<unknown>): () => void {
  let isDone = false;
  return () => {
    if (isDone) return;
    isDone = true;
    work().catch(() => {
      isDone = false;
    });
  };
}
