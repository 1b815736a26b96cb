import { isTasktrailError, wordsOf } from "../errors.ts";
import { type Duration, readDuration } from "./duration.ts";
import type { ResolvedRetry } from "./policy.ts";
import { askedDelayMs } from "./steer.ts";

/**
 * The wait after a failed attempt, in ms; undefined when the run is not to be tried again.
 * `attempt` is the one that failed, 1 for the first; `random` gives a number from 0 to below 1.
 * A thrown `Abort` ends the run; a thrown `Retry` is asked before `when`, and its own wait is taken as it is, without jitter or cap.
 * `report` hears of a `backoff` or a `when` that cannot be used: our own wait is then taken, since a mistake there must not end runs.
 */
export function nextDelay(
  policy: ResolvedRetry,
  attempt: number,
  error: unknown,
  random: () => number,
  report: (problem: string) => void = () => {},
): number | undefined {
  const failure = { attempt, error, random, report };
  if (isTasktrailError(error, "abort") || attempt >= policy.attempts) return undefined;
  if (isTasktrailError(error, "retry")) return askedDelayMs(error) ?? wait(policy, failure);
  return isRetried(policy, failure) ? wait(policy, failure) : undefined;
}

interface Failure {
  readonly attempt: number;
  readonly error: unknown;
  readonly random: () => number;
  readonly report: (problem: string) => void;
}

function isRetried({ when }: ResolvedRetry, { error, report }: Failure): boolean {
  if (when === undefined) return true;
  try {
    return when(error) !== false;
  } catch (problem) {
    report(`retry.when threw ${wordsOf(problem)}: the error is retried`);
    return true;
  }
}

function wait(policy: ResolvedRetry, failure: Failure): number {
  const base = Math.min(baseDelay(policy, failure), policy.maxDelayMs);
  return Math.round(base * (1 - policy.jitter * failure.random()));
}

function baseDelay(policy: ResolvedRetry, { attempt, error, report }: Failure): number {
  if (policy.backoff === "fixed") return policy.delayMs;
  if (policy.backoff === "exponential") return doubled(policy, attempt);
  const asked = askBackoff(policy.backoff, attempt, error);
  if ("ms" in asked) return asked.ms;
  report(`retry.backoff for attempt ${attempt}: ${asked.problem}. The exponential wait is taken`);
  return doubled(policy, attempt);
}

function doubled({ delayMs, maxDelayMs }: ResolvedRetry, attempt: number): number {
  return delayMs === 0 ? 0 : Math.min(delayMs * 2 ** (attempt - 1), maxDelayMs);
}

function askBackoff(backoff: (attempt: number, error: unknown) => Duration, attempt: number, error: unknown) {
  try {
    const given: unknown = backoff(attempt, error);
    // What a growing formula gives once it is past all bounds is a very long wait, and no mistake: maxDelay cuts it.
    if (typeof given === "string" && isHuge(given)) return { ms: Number.POSITIVE_INFINITY };
    return readDuration(given);
  } catch (problem) {
    return { problem: `it threw ${wordsOf(problem)}` };
  }
}

function isHuge(text: string): boolean {
  const amount = Number(text.replace(/(ms|s|m|h|d)$/, ""));
  return amount > 0 && !("ms" in readDuration(text)) && /\d(ms|s|m|h|d)$|^Infinity(ms|s|m|h|d)$/.test(text);
}
