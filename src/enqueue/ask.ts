import type { Redis } from "ioredis";
import { ready, reconnectDelayMs, refusal } from "../../streams/connect.ts";
import { pause } from "../../streams/lane.ts";
import type { Connection } from "./connection.ts";

/** How often it is looked why there is no connection, in ms: a password that is refused once will be refused again. */
const GLANCE_MS = 200;

/** Puts questions to Redis that change nothing there. */
export type Ask = <T>(question: (redis: Redis) => Promise<T>) => Promise<T>;

/** Redis has not answered in time, or has refused the question. */
export class Unanswered extends Error {
  constructor(cause: unknown) {
    super(`Redis has not answered: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
    this.name = "Unanswered";
  }
}

/**
 * Asks on a connection until there is an answer: again after every reconnect, until the deadline (on `performance.now()`).
 * Throws Unanswered.
 */
export async function askBy<T>(
  connection: Connection,
  deadline: number,
  question: (redis: Redis) => Promise<T>,
): Promise<T> {
  connection.hold();
  try {
    const redis = await connection.client();
    let cause: unknown = new Error("Connection is closed");
    for (let attempt = 1; ; attempt += 1) {
      const left = deadline - performance.now();
      const trouble = connection.trouble();
      if (left <= 0 || refusal(trouble) === "denied") throw new Unanswered(trouble ?? cause);
      if (!(await ready(redis, Math.min(left, GLANCE_MS)))) continue;
      try {
        return await inTime(question(redis), left);
      } catch (error) {
        cause = error;
        if (refusal(error) !== "away") throw new Unanswered(error);
      }
      await pause(Math.min(reconnectDelayMs(attempt), Math.max(0, deadline - performance.now())));
    }
  } finally {
    connection.release();
  }
}

async function inTime<T>(answer: Promise<T>, withinMs: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const silence = new Promise<never>((_, reject) => {
    timer = setTimeout(reject, withinMs, new Error("Command timed out"));
  });
  try {
    return await Promise.race([answer, silence]);
  } finally {
    clearTimeout(timer);
  }
}
