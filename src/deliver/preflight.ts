import type { Redis } from "ioredis";
import { ready, reconnectDelayMs, refusal } from "../../streams/connect.ts";
import { pause } from "../../streams/lane.ts";
import { invalidOption } from "../errors.ts";

/** Waits until Redis is there; for ever, if need be. Throws InvalidOption when it is there and lets nobody in. */
export async function connected(redis: Redis, signal: AbortSignal): Promise<void> {
  let denial: Error | undefined;
  const onError = (error: Error) => {
    denial = refusal(error) === "denied" ? error : undefined;
  };
  redis.on("error", onError);
  try {
    while (!signal.aborted && !(await ready(redis, 250, signal))) {
      if (denial === undefined) continue;
      throw invalidOption("redis", `Redis refuses the login (${denial.message}): check user and password`, {
        cause: denial,
      });
    }
  } finally {
    redis.off("error", onError);
  }
}

/** Throws InvalidOption when this Redis throws keys away as its memory fills: runs would vanish. What it does not tell is let pass. */
export async function checkEviction(redis: Redis): Promise<void> {
  const info = await redis.info("memory").catch(() => "");
  const policy = /^maxmemory_policy:(\S+)/m.exec(info)?.[1];
  const limit = Number(/^maxmemory:(\d+)/m.exec(info)?.[1] ?? 0);
  if (policy === undefined || policy === "noeviction" || limit === 0) return;
  throw invalidOption(
    "redis",
    `this Redis may use ${limit} bytes and evicts keys when they are full (maxmemory-policy ${policy}), so that runs would be lost without a trace. Set maxmemory-policy to noeviction, or use a Redis of its own`,
  );
}

/**
 * Does something that a worker needs before it can begin, again and again while Redis is away or full. Undefined when the signal was aborted first.
 * Throws InvalidOption when this user may not do it, and whatever else does not pass by itself.
 */
export async function persist<T>(work: () => Promise<T>, redis: Redis, signal: AbortSignal): Promise<T | undefined> {
  for (let attempt = 1; !signal.aborted; attempt += 1) {
    try {
      if (await ready(redis, 1_000, signal)) return await work();
    } catch (error) {
      const kind = refusal(error);
      if (kind === "denied") throw notAllowed(error);
      if (kind !== "away" && kind !== "full") throw error;
    }
    await pause(reconnectDelayMs(attempt), signal);
  }
  return undefined;
}

function notAllowed(error: unknown): Error {
  const said = error instanceof Error ? error.message : String(error);
  return invalidOption("redis", `Redis lets this user in, but not do all that a worker does: ${said}`, {
    cause: error,
  });
}
