import { randomFillSync } from "node:crypto";
import type { SpanIds } from "../streams/trace-ids.ts";

/** An id generator for the SDK that can be told the ids of the next span. */
export interface ChosenIds {
  generateTraceId(): string;
  generateSpanId(): string;
  /** Starts a span, which gets these ids; the trace id only when it has no parent. `start` must start one span at once. */
  as<T>(ids: SpanIds, start: () => T): T;
}

/** Ids by chance but for those that are chosen. */
export function createChosenIds(): ChosenIds {
  const random = createRandomHex();
  let next: SpanIds | undefined;
  return {
    generateTraceId: () => next?.traceId ?? random(16),
    generateSpanId: () => next?.spanId ?? random(8),
    as(ids, start) {
      next = ids;
      try {
        return start();
      } finally {
        next = undefined;
      }
    },
  };
}

/** Random hexadecimal digits, drawn from the system in large pieces. */
function createRandomHex(): (bytes: number) => string {
  const pool = Buffer.alloc(4_096);
  let used = pool.length;
  return (bytes) => {
    if (used + bytes > pool.length) {
      randomFillSync(pool);
      used = 0;
    }
    used += bytes;
    return pool.toString("hex", used - bytes, used);
  };
}
