import type { Redis } from "ioredis";
import { ready, refusal } from "../../streams/connect.ts";
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
