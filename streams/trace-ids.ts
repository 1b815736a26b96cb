import { hash } from "node:crypto";

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
  if (!isOurs(run)) return hashed(`${place} ${run}`);
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

/** In the place of a `traceparent` that follows from the run beside it: that of its dispatch, which began a trace and was left out by sampling. */
export const OF_DISPATCH = "0";
/** The same of an attempt that began a trace and was left out: it follows from run, attempt and delivery. */
export const OF_ATTEMPT = "1";

/** True for a run's id of which all that is derived is cut: SQL can do so, too. */
export function isOurs(run: string): boolean {
  return run.length === 36;
}

/** A `traceparent` in full: one that was written as what it follows from is worked out. Undefined when that is not known. */
export function inFull(
  traceparent: string | undefined,
  of: { readonly [K in keyof AttemptKey]?: AttemptKey[K] | undefined },
): string | undefined {
  const { run, attempt, delivery } = of;
  if (traceparent !== OF_DISPATCH && traceparent !== OF_ATTEMPT) return traceparent;
  if (run === undefined) return undefined;
  if (traceparent === OF_DISPATCH) return leftOut(idsOfDispatch(run));
  return attempt === undefined || delivery === undefined
    ? undefined
    : leftOut(idsOfAttempt({ run, attempt, delivery }));
}

/**
 * What the header of a batch says for its events in the place of a `traceparent` of their own: that which all have or, of those that sampling has left
 * out, what most follow from. Undefined when one of them has none: it would be told to have it.
 */
export function traceToldOnce(events: readonly { readonly traceparent?: string | undefined }[]): string | undefined {
  const first = events[0]?.traceparent;
  if (first === undefined) return undefined;
  let [areSame, ofDispatches, ofAttempts] = [true, 0, 0];
  for (const { traceparent } of events) {
    if (traceparent === undefined) return undefined;
    areSame &&= traceparent === first;
    if (traceparent === OF_DISPATCH) ofDispatches += 1;
    else if (traceparent === OF_ATTEMPT) ofAttempts += 1;
  }
  if (areSame || ofDispatches + ofAttempts === 0) return areSame ? first : undefined;
  return ofDispatches > ofAttempts ? OF_DISPATCH : OF_ATTEMPT;
}

/** W3C Trace Context, level 1, of a span that is not sampled. */
function leftOut({ traceId, spanId }: SpanIds): string {
  return `00-${traceId}-${spanId}-00`;
}
