import type { ResolvedRetry } from "../define/policy.ts";
import { nextDelay } from "../define/retry.ts";
import { isTasktrailError, type TasktrailError } from "../errors.ts";

/** How an attempt came out. */
export type Outcome =
  | { readonly isSuccess: true; readonly value: unknown }
  /** `isOfResult`: the handler returned, and what it returned cannot travel. */
  | { readonly isSuccess: false; readonly error: unknown; readonly isOfResult?: boolean };

/** What is to be done about it. `released`: the next worker takes the run, and no attempt is used up. `dropped`: it is no longer ours to say. */
export type Verdict =
  | { readonly kind: "succeeded"; readonly value: unknown }
  | { readonly kind: "retried"; readonly error: unknown; readonly delayMs: number }
  | { readonly kind: "died"; readonly error: unknown; readonly reason: DeathReason }
  | { readonly kind: "cancelled" | "released" | "dropped"; readonly error: unknown };

/** Why a run died whose handler had its turn. */
export type DeathReason = "attempts" | "aborted" | "not_retryable" | "invalid_result";

/** What a verdict rests on. */
export interface Case {
  readonly outcome: Outcome;
  /** Why the attempt's signal was aborted, if it was. */
  readonly abortedBy: TasktrailError | undefined;
  readonly attempt: number;
  readonly retry: ResolvedRetry;
  readonly random: () => number;
  /** Hears of a retry policy that cannot be used. */
  readonly report?: (problem: string) => void;
}

/**
 * What becomes of a run after an attempt. Pure.
 * What succeeded has succeeded, aborted or not: its effects have been committed. What failed after its signal was aborted failed because of that.
 */
export function judge({ outcome, abortedBy, attempt, retry, random, report }: Case): Verdict {
  if (outcome.isSuccess) return { kind: "succeeded", value: outcome.value };
  const error = abortedBy ?? outcome.error;
  if (abortedBy?.code === "lease_lost") return { kind: "dropped", error };
  if (abortedBy?.code === "shutdown") return { kind: "released", error };
  if (abortedBy?.code === "run_cancelled") return { kind: "cancelled", error };
  // A result that cannot travel is the same after every attempt.
  if (outcome.isOfResult === true && abortedBy === undefined) return { kind: "died", error, reason: "invalid_result" };
  const delayMs = nextDelay(retry, attempt, error, random, report);
  if (delayMs !== undefined) return { kind: "retried", error, delayMs };
  return { kind: "died", error, reason: reasonOf(error, attempt, retry) };
}

function reasonOf(error: unknown, attempt: number, retry: ResolvedRetry): DeathReason {
  if (isTasktrailError(error, "abort")) return "aborted";
  return attempt >= retry.attempts ? "attempts" : "not_retryable";
}
