import type { Redis } from "ioredis";
import { ready, refusal, replaceLink } from "../../streams/connect.ts";
import type { LedgerEvent } from "../../streams/events.ts";
import type { LaneKeys } from "../../streams/keys.ts";
import { pause } from "../../streams/lane.ts";
import { type LedgerEntry, toLedgerEntry } from "../../streams/ledger.ts";
import { FIRST_COUNT, nextCount, sizeOf } from "../../streams/paging.ts";
import type { Notice } from "../middleware.ts";
import type { Connection } from "./connection.ts";
import { eventsOf, runOf } from "./tail.ts";
import { isLast } from "./trace.ts";

/** How long one read waits for news, in ms. Also how long a queue that is new to the reader may wait for its turn. */
const BLOCK_MS = 1_000;
/** A read that has not come back so long after its time is up: the connection is dead. */
const SILENCE_MS = 2_000;
/** How long queues are followed for whom nobody waits any more: the next to wait is spared the start. */
const LINGER_MS = 5_000;

/** Someone who waits for a run's ending. */
export interface Waiter {
  readonly run: string;
  /** Called with the event; undefined when the follower was closed before there was one. */
  readonly onEnding: (event: LedgerEvent | undefined) => void;
}

/** Reads ledgers as they grow, for whoever waits. */
export interface Follower {
  /** Once it has resolved, the waiter is told of every ending that is recorded from then on, `run.joined` included, until it leaves. */
  join(queue: string, keys: LaneKeys, waiter: Waiter): Promise<void>;
  leave(queue: string, waiter: Waiter): void;
  /** Tells waiters of endings that someone else has read. */
  tell(queue: string, page: readonly LedgerEntry[]): void;
  close(): void;
}

/** What a follower works with. */
export interface FollowerParts {
  /** A connection of its own: a blocking read holds up everything behind it. */
  readonly connection: Connection;
  /** The id of the last entry of a ledger's tail; "0-0" when it is empty. */
  readonly lastId: (keys: LaneKeys) => Promise<string>;
  /** Has a blocking read come back at once, by another connection. */
  readonly unblock: (clientId: number) => Promise<unknown>;
  readonly announce: (notice: Notice) => void;
}

/** A queue that is followed. */
interface Followed {
  readonly keys: LaneKeys;
  readonly waiters: Map<string, Set<Waiter>>;
  /** The last entry that was read. Undefined until it is known where to begin. */
  position: string | undefined;
  readonly started: Promise<void>;
}

/** One blocking read over the ledgers of all queues for whose runs somebody waits. Holds its connection only while somebody does. */
export function createFollower({ connection, lastId, unblock, announce }: FollowerParts): Follower {
  const queues = new Map<string, Followed>();
  let waiterCount = 0;
  let isReading = false;
  let lingerUntil = 0;
  let count = FIRST_COUNT;
  let socket: unknown;
  let clientId: number | undefined;

  const follow = (queue: string, keys: LaneKeys): Followed => {
    const started = lastId(keys).then((id) => {
      followed.position = id;
    });
    const followed: Followed = { keys, waiters: new Map(), position: undefined, started };
    // The read that is under way knows nothing of this queue. Where that may not be said, its time is up soon.
    const wake = () => (isReading && clientId !== undefined ? unblock(clientId) : undefined);
    started.then(wake).catch(() => {});
    started.catch(() => queues.delete(queue)); // whoever joins has the error
    queues.set(queue, followed);
    return followed;
  };

  const read = async () => {
    if (isReading) return;
    isReading = true;
    const redis = await connection.client();
    for (;;) {
      const places = [...queues].filter(([, { position }]) => position !== undefined);
      const isWanted = waiterCount > 0 || (redis.status === "ready" && performance.now() < lingerUntil);
      if (places.length === 0 || !isWanted) break;
      if (!(await ready(redis, BLOCK_MS))) continue;
      try {
        await readOnce(redis, places);
      } catch (error) {
        if (waiterCount === 0) break;
        if (refusal(error) !== "away") announce({ kind: "problem", what: "a ledger could not be followed", error });
        await pause(100);
      }
    }
    isReading = false;
    if (waiterCount > 0) return;
    queues.clear();
    connection.close();
  };
  const start = () =>
    read().catch((error: unknown) => {
      isReading = false;
      announce({ kind: "problem", what: "ledgers could not be followed", error });
    });

  const readOnce = async (redis: Redis, places: readonly (readonly [string, Followed])[]) => {
    if (socket !== redis.stream) {
      socket = redis.stream;
      clientId = await answered(redis, redis.client("ID")).catch(() => undefined);
    }
    const names = places.map(([, { keys }]) => keys.events);
    const ids = places.map(([, { position }]) => position as string);
    const reply = await answered(redis, redis.xread("COUNT", count, "BLOCK", BLOCK_MS, "STREAMS", ...names, ...ids));
    for (const [name, raw] of reply ?? []) {
      const [queue, followed] = places[names.indexOf(name)] as (typeof places)[0];
      const page = raw.map((one) => toLedgerEntry(one as [string, string[]]));
      followed.position = page.at(-1)?.id ?? followed.position;
      count = nextCount(page.length, sizeOf(page));
      tell(queue, page);
    }
  };

  const tell = (queue: string, page: readonly LedgerEntry[]) => {
    const waiters = queues.get(queue)?.waiters;
    if (waiters === undefined) return;
    for (const event of eventsOf(waiters, page, { queue, incarnation: "" })) {
      if (!isLast(event.type)) continue;
      for (const waiter of waiters.get(runOf(event) ?? "") ?? []) waiter.onEnding(event);
    }
  };

  return {
    tell,
    async join(queue, keys, waiter) {
      let followed: Followed;
      do {
        followed = queues.get(queue) ?? follow(queue, keys);
        await followed.started;
      } while (queues.get(queue) !== followed); // nobody waited any more, and it was given up in the meantime
      const same = followed.waiters.get(waiter.run);
      if (same === undefined) followed.waiters.set(waiter.run, new Set([waiter]));
      else same.add(waiter);
      waiterCount += 1;
      if (waiterCount === 1) connection.hold();
      void start();
    },
    leave(queue, waiter) {
      const waiters = queues.get(queue)?.waiters;
      const same = waiters?.get(waiter.run);
      if (same?.delete(waiter) !== true) return;
      if (same.size === 0) waiters?.delete(waiter.run);
      waiterCount -= 1;
      if (waiterCount > 0) return;
      lingerUntil = performance.now() + LINGER_MS;
      connection.release();
    },
    close() {
      const all = [...queues.values()].flatMap(({ waiters }) => [...waiters.values()].flatMap((same) => [...same]));
      for (const waiter of all) waiter.onEnding(undefined);
      lingerUntil = 0;
      connection.close();
    },
  };
}

/** A dead connection answers nothing, not even that the wait is over. */
async function answered<T>(redis: Redis, reply: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const silence = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      replaceLink(redis);
      reject(new Error("Command timed out"));
    }, BLOCK_MS + SILENCE_MS);
    timer.unref();
  });
  try {
    return await Promise.race([reply, silence]);
  } finally {
    clearTimeout(timer);
  }
}
