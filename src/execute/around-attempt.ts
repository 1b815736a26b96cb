import { type Announce, beginWithin, carrierOf, endWithin, type Hung, tellOfHook } from "../around.ts";
import type { Carrier, Ended, Execution, Middleware } from "../middleware.ts";
import type { Attempt } from "./attempt.ts";

/** An attempt, and what hangs around attempts. */
export interface AroundAttempt {
  readonly attempt: Attempt;
  readonly middleware: readonly Middleware[];
  readonly announce: Announce;
}

/** Begins an attempt inside the hooks that hang around attempts, the first one outermost. */
export function aroundAttempt(around: AroundAttempt, begin: (carrier: Carrier | undefined) => void): void {
  const hung = hungAround(around);
  if (hung === undefined) begin(undefined);
  else {
    const { attempt, announce } = around;
    if (hung.some(({ hook }) => hook.end !== undefined)) attempt.onEnded = (ended) => endWithin(hung, announce, ended);
    beginWithin(hung, announce, () => begin(carrierOf(hung)));
  }
}

function hungAround({ attempt, middleware, announce }: AroundAttempt): Hung<Ended>[] | undefined {
  let execution: Execution | undefined;
  let hung: Hung<Ended>[] | undefined;
  for (const one of middleware) {
    if (one.attempt === undefined) continue;
    execution ??= executionOf(attempt);
    try {
      const hook = one.attempt(execution);
      if (hook === undefined) continue;
      hung ??= [];
      hung.push({ name: one.name, hook });
    } catch (error) {
      tellOfHook(announce, one.name, error);
    }
  }
  return hung;
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
