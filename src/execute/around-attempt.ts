import { type Announce, beginWithin, endWithin, type Hung, tellOfHook } from "../around.ts";
import { inPlain } from "../left-out.ts";
import type { Ended, Execution, Hook, Middleware } from "../middleware.ts";
import type { Attempt } from "./attempt.ts";

/** An attempt, and what hangs around attempts. */
export interface AroundAttempt {
  readonly attempt: Attempt;
  readonly middleware: readonly Middleware[];
  readonly announce: Announce;
}

/** Begins an attempt inside the hooks that hang around attempts, the first one outermost. It has the trace context that they say by then. */
export function aroundAttempt(around: AroundAttempt, begin: (attempt: Attempt) => void): void {
  const { attempt, announce } = around;
  const hung = hangAround(around);
  if (hung === undefined) {
    begin(attempt);
    return;
  }
  if (hung.some(({ hook }) => hook.end !== undefined)) attempt.onEnded = (ended) => endWithin(hung, announce, ended);
  attempt.isEntered = true;
  beginWithin(hung, announce, () => begin(attempt));
}

/** Asks the hooks, and gives those that have something to do around it: most only say in which trace it is. */
function hangAround({ attempt, middleware, announce }: AroundAttempt): Hung<Ended>[] | undefined {
  let execution: Execution | undefined;
  let hung: Hung<Ended>[] | undefined;
  let isSaid = false;
  for (const one of middleware) {
    if (one.attempt === undefined) continue;
    execution ??= executionOf(attempt);
    try {
      const hook = one.attempt(execution);
      if (hook === undefined) continue;
      isSaid = say(attempt, hook, isSaid);
      if (hook.enter === undefined && hook.end === undefined) continue;
      hung ??= [];
      hung.push({ name: one.name, hook });
    } catch (error) {
      tellOfHook(announce, one.name, error);
    }
  }
  return hung;
}

/** The first hook's carrier takes the place of the dispatch's; of two that say the same, the inner one counts. */
function say(attempt: Attempt, { carrier, context }: Hook<Ended>, isSaid: boolean): boolean {
  if (context !== undefined) attempt.context = context;
  if (carrier === undefined) return isSaid;
  attempt.carrier = isSaid ? { ...inPlain(attempt.carrier), ...inPlain(carrier) } : carrier;
  return true;
}

function executionOf({ hold, meta, input, policies, carrier }: Attempt): Execution {
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
    carrier,
    previous: meta.previousTraceparent === undefined ? undefined : { traceparent: meta.previousTraceparent },
  };
}
