import type { AttemptHook, Carrier, Ended, Execution, Middleware, Notice } from "../middleware.ts";
import type { Attempt } from "./attempt.ts";

/** An attempt, and what hangs around attempts. */
export interface AroundAttempt {
  readonly attempt: Attempt;
  readonly middleware: readonly Middleware[];
  readonly announce: (notice: Notice) => void;
}

interface Hung {
  readonly name: string;
  readonly hook: AttemptHook;
}

/**
 * Begins an attempt inside the hooks that hang around attempts, the first one outermost.
 * A hook that throws, or forgets to go on, is told of; the attempt begins all the same, and once.
 */
export function aroundAttempt(around: AroundAttempt, begin: (carrier: Carrier | undefined) => void): void {
  const hooks = hooksAround(around);
  const { attempt, announce } = around;
  let carrier: Carrier | undefined;
  for (const { hook } of hooks) if (hook.carrier !== undefined) carrier = hook.carrier;
  if (hooks.length > 0)
    attempt.onEnded = (ended) => {
      for (const hung of hooks.toReversed()) endOf(hung, ended, announce);
    };
  let hasBegun = false;
  const enter = (index: number): void => {
    const { name, hook } = hooks[index] ?? {};
    if (hook?.enter !== undefined) {
      try {
        hook.enter(() => enter(index + 1));
      } catch (error) {
        tell(announce, `${name}`, error);
      }
    }
    if (hasBegun) return;
    hasBegun = hook === undefined;
    if (hook === undefined) begin(carrier);
    else enter(index + 1);
  };
  enter(0);
}

function hooksAround({ attempt, middleware, announce }: AroundAttempt): readonly Hung[] {
  let execution: Execution | undefined;
  let hooks = none;
  for (const one of middleware) {
    if (one.attempt === undefined) continue;
    execution ??= executionOf(attempt);
    try {
      const hook = one.attempt(execution);
      if (hook !== undefined) hooks = [...hooks, { name: one.name, hook }];
    } catch (error) {
      tell(announce, one.name, error);
    }
  }
  return hooks;
}
const none: readonly Hung[] = [];

function endOf({ name, hook }: Hung, ended: Ended, announce: AroundAttempt["announce"]): void {
  try {
    hook.end?.(ended);
  } catch (error) {
    tell(announce, name, error);
  }
}

function tell(announce: AroundAttempt["announce"], name: string, error: unknown): void {
  announce({ kind: "problem", what: `the attempt hook of "${name}" has failed`, error });
}

function executionOf({ hold, meta, input, policies }: Attempt): Execution {
  const { entry, delivery } = hold.delivery;
  return {
    run: entry.run,
    task: entry.task,
    queue: hold.workLane.queue,
    attempt: entry.attempt,
    delivery,
    worker: hold.workLane.consumer,
    enqueuedAt: meta.enqueuedAt,
    dueAt: meta.dueAt,
    schedule: meta.cron?.schedule,
    slot: meta.cron?.at,
    trigger: meta.cron?.trigger,
    maxAttempts: policies.retry.attempts,
    input,
    redriveOf: meta.redriveOf,
    isOfMany: meta.isOfMany === true,
    carrier: { traceparent: meta.traceparent, tracestate: meta.tracestate },
    previous: meta.previousTraceparent === undefined ? undefined : { traceparent: meta.previousTraceparent },
  };
}
