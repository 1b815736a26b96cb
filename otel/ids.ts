import { hash, randomFillSync } from "node:crypto";

/** What names a span: 32 and 16 hexadecimal digits. */
export interface SpanIds {
  readonly traceId: string;
  readonly spanId: string;
}

/** One delivery of one attempt: what a `process` span is about. */
export interface AttemptKey {
  readonly run: string;
  readonly attempt: number;
  readonly delivery: number;
}

/**
 * The ids of an attempt's span, derived from what the attempt is. So another process can name the span of a worker that was killed before
 * it could send anything, and a trace that is rebuilt from the ledger has the ids it would have had. The trace id is for
 * attempts that begin a trace of their own; the others have that of their dispatch.
 */
export function idsOfAttempt({ run, attempt, delivery }: AttemptKey): SpanIds {
  return derived(`process ${run} ${attempt} ${delivery}`);
}

/** The ids of a dispatch's span in a history that was recorded without any: a trace of its own. */
export function idsOfDispatch(run: string): SpanIds {
  return derived(`enqueue ${run}`);
}

function derived(what: string): SpanIds {
  const digits = hash("sha256", `tasktrail ${what}`, "hex");
  return { traceId: digits.slice(0, 32), spanId: digits.slice(32, 48) };
}

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
