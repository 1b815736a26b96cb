import type { Redis } from "ioredis";
import { replaceLink } from "../../streams/connect.ts";

/** How long an answer that is late may still be on its way through this process' own event loop, in ms. */
const OWN_DELAY_MS = 250;

/**
 * The answer to a command, unless the connection stays silent for too long: then it is replaced, since a link that died
 * without closing tells nobody. A process that was itself blocked reads what has come before it judges.
 */
export async function answerOf<T>(redis: Redis, answer: Promise<T>, withinMs: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const silence = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      timer = setTimeout(() => {
        replaceLink(redis);
        reject(new Error("Command timed out"));
      }, OWN_DELAY_MS);
    }, withinMs);
  });
  try {
    return await Promise.race([answer, silence]);
  } finally {
    clearTimeout(timer);
  }
}
