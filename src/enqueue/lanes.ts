import type { Redis } from "ioredis";
import { refusal } from "../../streams/connect.ts";
import type { Enqueued, EnqueueRecord } from "../../streams/enqueue.ts";
import { createRunIds, type RunIds } from "../../streams/ids.ts";
import { createRedisClock, type Lane, openLane, type RedisClock, registerQueue } from "../../streams/lane.ts";
import { askBy, Unanswered } from "./ask.ts";
import { createOutbox, type Outbox } from "./coalesce.ts";
import type { Connection } from "./connection.ts";

/** A queue's lane as dispatches use it. */
export interface DispatchLane {
  readonly lane: Lane;
  readonly runIds: RunIds;
  readonly outbox: Outbox;
}

/** The lanes of one broker, all on its one connection and by one clock. */
export interface Lanes {
  /** The lane, if it is open and Redis' clock is known. */
  get(queue: string): DispatchLane | undefined;
  /** Opens a lane, and sees what time it is in Redis. Throws Unanswered when Redis is silent until the deadline (on `performance.now()`). */
  open(queue: string, deadline: number): Promise<DispatchLane>;
  /** Why there is no connection, as far as that is known. */
  trouble(): Error | undefined;
  /** The lane alone; sends nothing. */
  lane(queue: string): Promise<Lane>;
}

/** What lanes are made of. */
export interface LanesParts {
  readonly connection: Connection;
  readonly namespace: () => string;
  readonly incarnation: string;
  readonly enqueueTimeoutMs: () => number;
  /** Hears of what Redis has taken. */
  readonly onTaken: (queue: string, records: readonly EnqueueRecord[], call: Enqueued) => void;
}

/** Makes lanes when they are asked for. */
export function createLanes(parts: LanesParts): Lanes {
  const { connection } = parts;
  const clock = createRedisClock();
  const lanes = new Map<string, DispatchLane>();
  let isClockSet = false;
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
  const make = async (queue: string): Promise<DispatchLane> => {
    const redis = await connection.client();
    const known = lanes.get(queue);
    if (known !== undefined) return known;
    const { incarnation } = parts;
    const lane = holding(openLane({ redis, namespace: parts.namespace(), queue, incarnation, clock }), connection);
    const register = once(() => registerQueue(redis, lane.namespace, queue));
    const outbox = createOutbox({
      lane,
      answerWithinMs: parts.enqueueTimeoutMs() * 0.4, // so that there is time for another try on a new connection
      onCall() {
        if (redis.status === "ready") register();
      },
      onTaken: (records, call) => parts.onTaken(queue, records, call),
    });
    const made = { lane, runIds: createRunIds(queue), outbox };
    lanes.set(queue, made);
    return made;
  };

  return {
    get: (queue) => (isClockSet ? lanes.get(queue) : undefined),
    trouble: connection.trouble,
    lane: async (queue) => (await make(queue)).lane,
    async open(queue, deadline) {
      while (!isClockSet) await learnTime(deadline);
      return make(queue);
    },
  };
}

/** Run ids, delays and deadlines go by Redis' clock, so it is asked before the first of them is made. */
async function setClock(redis: Redis, clock: RedisClock): Promise<void> {
  const sentAt = performance.now();
  const [seconds, micros] = await redis.time();
  clock.learn(Number(seconds) * 1_000 + Math.floor(Number(micros) / 1_000), sentAt, performance.now());
}

/** A lane whose calls hold the connection for as long as they are on their way. */
function holding(lane: Lane, connection: Connection): Lane {
  return {
    ...lane,
    async nextCall() {
      connection.hold();
      const call = await lane.nextCall();
      return {
        number: call.number,
        done() {
          call.done();
          connection.release();
        },
      };
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
