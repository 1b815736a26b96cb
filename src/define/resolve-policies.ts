import type { EntryRetry } from "../../streams/entry.ts";
import { DEFAULTS } from "../defaults.ts";
import { invalidOption } from "../errors.ts";
import { type Duration, durationMs } from "./duration.ts";
import { checkKeys, checkObject, oneOf, shown, wholeNumber } from "./options.ts";
import type { Policies, ResolvedPolicies, ResolvedRetry, RetryPolicy } from "./policy.ts";

/** The names of the policies, which tasks, crons, contracts' handlers and a broker's defaults have in common. */
export const POLICY_KEYS = ["retry", "timeout", "resultTtl", "inbox"] as const;
const retryKeys = ["attempts", "backoff", "delay", "maxDelay", "jitter", "when"];

/** Throws InvalidOption for policies that cannot be. To be called where they are declared. */
export function checkPolicies(policies: Policies): void {
  resolvePolicies({ policies, cron: undefined });
}

/** A task's policies with the broker's defaults and our own filled in, in milliseconds. Throws InvalidOption. */
export function resolvePolicies(
  record: { readonly policies: Policies; readonly cron: object | undefined },
  defaults: Policies = {},
): ResolvedPolicies {
  const { policies } = record;
  const timeout = policies.timeout ?? defaults.timeout;
  const resultTtl = policies.resultTtl ?? defaults.resultTtl;
  return {
    retry: resolveRetry(policies.retry ?? {}, defaults.retry ?? {}, record.cron !== undefined),
    timeoutMs: timeout === undefined ? DEFAULTS.timeoutMs : positive("timeout", timeout),
    resultTtlMs: resultTtl === undefined ? DEFAULTS.resultTtlMs : durationMs(resultTtl, "resultTtl"),
    ...inboxOf(policies.inbox ?? defaults.inbox),
  };
}

function inboxOf(inbox: Policies["inbox"]): Pick<ResolvedPolicies, "inbox"> {
  if (inbox === undefined) return {};
  if (inbox.kind === "tasktrail.provider" && inbox.scope === "run") return { inbox };
  throw invalidOption("inbox", "takes a provider of the run's session, such as getDbSession");
}

function resolveRetry(own: RetryPolicy, defaults: RetryPolicy, isCron: boolean): ResolvedRetry {
  checkRetryShape(own);
  checkRetryShape(defaults);
  const attempts = own.attempts ?? defaults.attempts ?? (isCron ? DEFAULTS.cronAttempts : DEFAULTS.attempts);
  const backoff = own.backoff ?? defaults.backoff ?? DEFAULTS.backoff;
  const when = own.when ?? defaults.when;
  if (when !== undefined && typeof when !== "function")
    throw invalidOption("retry.when", `${shown(when)} is no function`);
  return {
    attempts: wholeNumber("retry.attempts", attempts, { least: 1, most: 1_000_000 }),
    backoff: typeof backoff === "function" ? backoff : oneOf("retry.backoff", backoff, ["exponential", "fixed"]),
    delayMs: lengthOr("retry.delay", own.delay ?? defaults.delay, DEFAULTS.retryDelayMs),
    maxDelayMs: lengthOr("retry.maxDelay", own.maxDelay ?? defaults.maxDelay, DEFAULTS.maxRetryDelayMs),
    jitter: share("retry.jitter", own.jitter ?? defaults.jitter ?? DEFAULTS.jitter),
    when,
  };
}

function checkRetryShape(retry: RetryPolicy): void {
  checkObject("retry", retry);
  checkKeys("retry", retry, retryKeys, { retries: "it is called `attempts`, and counts the first try too" });
}

/** The part of a retry policy that travels with one run. Throws InvalidOption. */
export function travellingRetry(retry: RetryPolicy): EntryRetry {
  checkRetryShape(retry);
  if (typeof retry.backoff === "function" || retry.when !== undefined) {
    throw invalidOption(
      "retry",
      "a function cannot travel with a run: state `when` and a computed `backoff` on the task",
    );
  }
  const full = resolveRetry(retry, {}, false);
  return {
    ...(retry.attempts === undefined ? {} : { attempts: full.attempts }),
    ...(retry.backoff === undefined ? {} : { backoff: retry.backoff }),
    ...(retry.delay === undefined ? {} : { delayMs: full.delayMs }),
    ...(retry.maxDelay === undefined ? {} : { maxDelayMs: full.maxDelayMs }),
    ...(retry.jitter === undefined ? {} : { jitter: full.jitter }),
  };
}

/** A task's policies with those of one run put over them. */
export function policiesOfRun(
  policies: ResolvedPolicies,
  given: {
    readonly timeoutMs?: number | undefined;
    readonly retry?: EntryRetry | undefined;
    readonly resultTtlMs?: number | undefined;
  },
): ResolvedPolicies {
  const { timeoutMs, retry, resultTtlMs } = given;
  if (timeoutMs === undefined && retry === undefined && resultTtlMs === undefined) return policies;
  return {
    ...policies,
    timeoutMs: timeoutMs ?? policies.timeoutMs,
    resultTtlMs: resultTtlMs ?? policies.resultTtlMs,
    retry: {
      ...policies.retry,
      attempts: retry?.attempts ?? policies.retry.attempts,
      backoff: retry?.backoff ?? policies.retry.backoff,
      delayMs: retry?.delayMs ?? policies.retry.delayMs,
      maxDelayMs: retry?.maxDelayMs ?? policies.retry.maxDelayMs,
      jitter: retry?.jitter ?? policies.retry.jitter,
    },
  };
}

function positive(option: string, value: Duration): number {
  const ms = durationMs(value, option);
  if (ms === 0) throw invalidOption(option, `"${value}" would end everything at once: it has to be longer than zero`);
  return ms;
}

function lengthOr(option: string, value: Duration | undefined, otherwiseMs: number): number {
  return value === undefined ? otherwiseMs : durationMs(value, option);
}

function share(option: string, value: unknown): number {
  if (typeof value !== "number" || !(value >= 0 && value <= 1)) {
    throw invalidOption(option, `${shown(value)} is not a share from 0 to 1`);
  }
  return value;
}
