import type { Redis } from "ioredis";
import { disconnect } from "../../streams/connect.ts";
import { createRedisClock, type Lane, newIncarnation, openLane, type RedisClock } from "../../streams/lane.ts";
import { type Locks, openLocks } from "../../streams/locks.ts";
import type { Engine } from "../engine.ts";
import { duplicateTask } from "../errors.ts";
import { openLockServers } from "../lock-servers.ts";
import { type CronTaskRecord, isCron } from "./schedule.ts";

/** What a scheduler has open while it runs. */
export interface Opened extends AsyncDisposable {
  /** The connection that slots are fired on: the scheduler's own, since a dispatch connection is closed when it is idle. */
  readonly redis: Redis;
  /** The connection on which it hears of changes. Connects when it is listened on. */
  readonly ears: Redis;
  readonly clock: RedisClock;
  /** Undefined in tests alone. */
  readonly locks: Locks | undefined;
  readonly incarnation: string;
  readonly namespace: string;
  /** The lanes that are open, by queue: at first those that have crons. */
  readonly lanes: Map<string, Lane>;
}

/** The lane of a queue. Sends nothing. */
export function laneOf({ lanes, redis, namespace, incarnation, clock }: Opened, queue: string): Lane {
  const lane = lanes.get(queue) ?? openLane({ redis, namespace, queue, incarnation, clock });
  lanes.set(queue, lane);
  return lane;
}

/** Opens connections and lanes; waits for none of them. `lockUrls`: the servers of the locks, if they are not the broker's own. */
export async function openScheduler(engine: Engine, lockUrls: readonly string[] | undefined): Promise<Opened> {
  const redis = await engine.connect("command");
  const ears = await engine.connect("follow");
  const clients = lockUrls === undefined ? [await engine.connect("lock")] : await openLockServers(engine, lockUrls);
  const incarnation = newIncarnation();
  const clock = createRedisClock(() => engine.clock.now());
  const queues = new Set(cronsOf(engine).map(({ queue }) => queue));
  const { namespace } = engine;
  const open = (queue: string) => openLane({ redis, namespace, queue, incarnation, clock });
  for (const client of [redis, ...clients]) client.connect().catch(() => {}); // its `error` event tells
  return {
    redis,
    ears,
    clock,
    incarnation,
    namespace,
    locks: await openLocks(clients),
    lanes: new Map(Array.from(queues, (queue) => [queue, open(queue)])),
    async [Symbol.asyncDispose]() {
      for (const client of [redis, ears, ...clients]) disconnect(client);
    },
  };
}

/** The crons of a broker. Throws DuplicateTask when two share a name. */
export function cronsOf({ records }: Engine): readonly CronTaskRecord[] {
  const crons = records.filter(isCron);
  for (const [name, all] of Map.groupBy(crons, (record) => record.name)) {
    if (all.length > 1)
      throw duplicateTask(
        name,
        Array.from(all, ({ declaredAt }) => declaredAt),
      );
  }
  return crons;
}
