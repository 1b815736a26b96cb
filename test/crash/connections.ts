import { setTimeout as delay } from "node:timers/promises";
import type { Redis } from "ioredis";
import type { Cast, Program } from "./cast.ts";

/** How long connections may take to be seen as closed, in ms. */
const SETTLE_MS = 3_000;

/** What each living process may hold, by the connections' names. */
const HELD: Readonly<Partial<Record<Program, readonly string[]>>> = {
  worker: ["command", "read", "beat"],
  projector: ["project", "follow", "command", "follow"], // it relays, too
  relay: ["command", "follow", "follow"], // the bell, and the topics
};

/** Connections beyond what the living processes need: of a loop that was begun twice, or of a process that is gone. */
export async function connectionsOver(redis: Redis, cast: Cast): Promise<number> {
  const deadline = performance.now() + SETTLE_MS;
  for (;;) {
    const over = await countOver(redis, cast);
    if (over === 0 || performance.now() > deadline) return over;
    await delay(50);
  }
}

async function countOver(redis: Redis, cast: Cast): Promise<number> {
  const list = String(await redis.client("LIST"));
  const counts = new Map<string, number>();
  for (const [, name = ""] of list.matchAll(/ name=tasktrail-(\S+)/g)) counts.set(name, (counts.get(name) ?? 0) + 1);
  for (const actor of cast.all) {
    if (!actor.isAlive()) continue;
    for (const name of HELD[actor.program] ?? []) counts.set(name, (counts.get(name) ?? 0) - 1);
  }
  return [...counts.values()].reduce((sum, count) => sum + Math.max(0, count), 0);
}
