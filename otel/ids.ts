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
  return derived(run, attempt, delivery);
}

/** The ids of a dispatch's span that was not made: those of a trace of its own. */
export function idsOfDispatch(run: string): SpanIds {
  return derived(run, 0, 0);
}

/**
 * Attempt and delivery take the place of the digits of a run's id that tell the hour: what is left of it is random, as samplers expect, and who
 * reads the id of a trace sees whose it is. All of it is cheaper than a hash, and asked for at every attempt.
 */
function derived(run: string, attempt: number, delivery: number): SpanIds {
  const place = digits(attempt) + digits(delivery);
  if (run.length !== 36) return hashed(`${place} ${run}`);
  const tail = run.slice(24);
  return {
    traceId: place + run.slice(9, 13) + run.slice(14, 18) + run.slice(19, 23) + tail,
    spanId: digits((attempt << 8) ^ delivery) + tail,
  };
}

const small = Array.from({ length: 16 }, (_, count) => `000${count.toString(16)}`);

/** The lowest sixteen bits. */
function digits(count: number): string {
  return small[count] ?? (count & 0xffff).toString(16).padStart(4, "0");
}

/** Of what is no id of ours. */
function hashed(what: string): SpanIds {
  const all = hash("sha256", `tasktrail ${what}`, "hex");
  return { traceId: all.slice(0, 32), spanId: all.slice(32, 48) };
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
