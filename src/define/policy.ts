import type { Provider } from "../di/provider.ts";
import type { Duration } from "./duration.ts";
import type { SqlSession } from "./session.ts";

/** What happens after a failed attempt. */
export interface RetryPolicy {
  /** Tries in all, the first included; interruptions do not count. Default 3, cron 1. */
  readonly attempts?: number | undefined;
  /** `"exponential"` (default) doubles `delay` after each failure, `"fixed"` keeps it; a function gives the wait after attempt 1, 2, … */
  readonly backoff?: "exponential" | "fixed" | ((attempt: number, error: unknown) => Duration) | undefined;
  /** The first wait. Default "1s". */
  readonly delay?: Duration | undefined;
  /** The longest wait. Default "1h". */
  readonly maxDelay?: Duration | undefined;
  /** Share of each wait that is random, 0 to 1. Default 0.2. */
  readonly jitter?: number | undefined;
  /** False ends the run at once. Default: every error is retried. `throw new Retry()` and `throw new Abort()` go before it. */
  readonly when?: ((error: unknown) => boolean) | undefined;
}

/** What a task does about failure and time; a broker's `defaults` stand in for what it does not state. */
export interface Policies {
  readonly retry?: RetryPolicy | undefined;
  /** Per attempt: then its signal is aborted and the attempt fails. Default "1h". */
  readonly timeout?: Duration | undefined;
  /** How long `result()` can be asked for after the end. Default "24h". */
  readonly resultTtl?: Duration | undefined;
  /**
   * Notes in this session, beside what the handler writes there, that the run is done: one that had committed and is delivered again is
   * settled with its result, and its handler is not run again. Default: off.
   */
  readonly inbox?: Provider<SqlSession, "run"> | undefined;
}

/** A retry policy with nothing left open. */
export interface ResolvedRetry {
  readonly attempts: number;
  readonly backoff: "exponential" | "fixed" | ((attempt: number, error: unknown) => Duration);
  readonly delayMs: number;
  readonly maxDelayMs: number;
  readonly jitter: number;
  readonly when: ((error: unknown) => boolean) | undefined;
}

/** Policies with nothing left open, in milliseconds. */
export interface ResolvedPolicies {
  readonly retry: ResolvedRetry;
  readonly timeoutMs: number;
  readonly resultTtlMs: number;
  readonly inbox?: Provider<SqlSession, "run"> | undefined;
}
