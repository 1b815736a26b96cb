import type { Carrier, Ended, Execution, Middleware, Notice } from "../middleware.ts";
import type { Attempt } from "./attempt.ts";

/**
 * Runs an attempt inside the hooks that hang around attempts, the first one outermost.
 * A hook that throws, or forgets to go on, is told of; the attempt runs all the same, and once.
 */
export function aroundExecute(
  middleware: readonly Middleware[],
  attempt: Attempt,
  announce: (notice: Notice) => void,
  perform: (carrier: Carrier) => Promise<Ended>,
): void {
  const execution = executionOf(attempt);
  let running: Promise<Ended> | undefined;
  const innermost = (carrier: Carrier) => {
    running ??= perform(carrier);
    return running;
  };
  const whole = middleware.reduceRight<(carrier: Carrier) => Promise<Ended>>((next, one) => {
    const { execute } = one;
    if (execute === undefined) return next;
    return async (outer) => {
      const inner = (carrier: Carrier) => next({ ...outer, ...carrier });
      try {
        const ended = await execute.call(one, execution, inner);
        return running === undefined ? inner({}) : ended;
      } catch (error) {
        announce({ kind: "problem", what: `the execute hook of "${one.name}" has failed`, error });
        return inner({});
      }
    };
  }, innermost);
  void whole({});
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
    carrier: { traceparent: meta.traceparent, tracestate: meta.tracestate },
    previous: meta.previousTraceparent === undefined ? undefined : { traceparent: meta.previousTraceparent },
  };
}
