import { bellKey } from "../../streams/keys.ts";
import type { Ask } from "./ask.ts";

/**
 * Tells the relays of a namespace that a transaction has committed, so that they need not wait for their next look. Those that come while
 * a call is on its way share the next one. Best effort: never throws, and nothing rests on it.
 */
export function createBellRinger(ask: Ask, namespace: () => string): () => void {
  let isRinging = false;
  let isAsked = false;
  const ring = async () => {
    while (isAsked) {
      isAsked = false;
      await ask((redis) => redis.xadd(bellKey(namespace()), "MAXLEN", "1", "*", "rung", "1")).catch(() => {});
    }
    isRinging = false;
  };
  return () => {
    isAsked = true;
    if (isRinging) return;
    isRinging = true;
    void ring();
  };
}
