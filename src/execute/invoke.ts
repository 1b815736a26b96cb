import type { TaskRecord } from "../define/task.ts";
import { after } from "../define/travelling.ts";
import { withDeps } from "../di/resolve.ts";
import type { WorkerScope } from "../di/worker-scope.ts";
import type { RunContext } from "../run.ts";

/** What a handler put off until everything is committed. */
export type Effect = () => unknown;

/** A handler and all that it is called with. */
export interface Invocation {
  readonly record: TaskRecord;
  /** The parsed input; of a cron, the slot. */
  readonly input: unknown;
  readonly scope: WorkerScope;
  readonly context: RunContext;
  /** What `context.onCommit` has been given, as it comes. */
  readonly effects: readonly Effect[];
  /** Sees what the handler gave, a promise perhaps, while its providers can still roll back. */
  readonly keep: (given: unknown) => unknown;
}

/**
 * Runs a handler with its dependencies around it, and once all of them have closed well, what it put off, in order.
 * What the handler, a provider or an effect throws is thrown. Nothing to wait for, and no promise is made.
 */
export function invoke({ record, input, scope, context, effects, keep }: Invocation): unknown {
  const done = withDeps(record.deps, { scope, run: context }, (values) => keep(record.run?.(input, values, context)));
  return after(done, (value) => (effects.length === 0 ? value : applyAll(effects, value)));
}

/** Runs what a handler put off, in order, once its value is there; gives that value. */
export function applyAfter(effects: readonly Effect[], value: unknown): unknown {
  return after(value, (done) => applyAll(effects, done));
}

async function applyAll(effects: readonly Effect[], value: unknown): Promise<unknown> {
  for (const effect of effects) await effect(); // one may put off another, which then comes last
  return value;
}
