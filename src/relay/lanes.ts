import type { Redis } from "ioredis";
import { ready } from "../../streams/connect.ts";
import { createRedisClock, type Lane, openLane, pause, type RedisClock, registerQueue } from "../../streams/lane.ts";
import type { Engine } from "../engine.ts";
import { setClock } from "../enqueue/lanes.ts";

/** The lanes that a relay writes to, all on one connection and by one clock. */
export interface RelayedLanes {
  readonly clock: RedisClock;
  /** The lane of a queue, once Redis' clock is known: a delay must not be counted by another. Throws when aborted before. */
  open(queue: string): Promise<Lane>;
}

/** Makes lanes when they are asked for. */
export function createRelayedLanes(
  { namespace, incarnation }: Engine,
  redis: Redis,
  signal: AbortSignal,
): RelayedLanes {
  const clock = createRedisClock(() => Math.floor(performance.timeOrigin + performance.now()));
  const lanes = new Map<string, Lane>();
  let learning: Promise<void> | undefined;
  const learn = async () => {
    for (;;) {
      signal.throwIfAborted();
      if (!(await ready(redis, 2_000, signal))) continue;
      try {
        return await setClock(redis, clock);
      } catch {
        await pause(200, signal);
      }
    }
  };
  return {
    clock,
    async open(queue) {
      learning ??= learn();
      await learning;
      const known = lanes.get(queue) ?? openLane({ redis, namespace, queue, incarnation, clock });
      lanes.set(queue, known);
      await registerQueue(redis, namespace, queue).catch(() => {}); // the list is for tools
      return known;
    },
  };
}
