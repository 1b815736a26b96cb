import { providerMisused } from "../errors.ts";
import { type Plan, planOf } from "./graph.ts";
import { begin, type Life, type Values } from "./life.ts";
import type { Deps, Override, ProviderRecord } from "./provider.ts";

/** The worker-scoped values of one worker, or of one `call`: opened on first need, closed together at its end. */
export interface WorkerScope extends Values, AsyncDisposable {
  /** What has to be opened for a `deps` object, under the overrides of this scope. */
  plan(deps: Deps): Plan;
  /** Closes everything, last opened first. Rejects with what went wrong, once all of it is closed. */
  close(): Promise<void>;
}

/** What a scope starts with. */
export interface WorkerScopeOptions {
  /** Values of leaves, by their names: `getBroker` for one. */
  readonly leaves?: Readonly<Record<string, unknown>> | undefined;
  readonly overrides?: readonly Override[] | undefined;
  readonly report?: ((problem: string, error: unknown) => void) | undefined;
}

/** A scope in which nothing is open yet. */
export function openWorkerScope(options: WorkerScopeOptions = {}): WorkerScope {
  const { leaves = {}, overrides = [], report = () => {} } = options;
  const replaced = new Map(overrides.map((one) => [one.provider as ProviderRecord, { value: one.replacement }]));
  const plans = new WeakMap<Deps, Plan>();
  const lives = new Map<ProviderRecord, Life>();
  const order: Life[] = [];
  let isClosed = false;

  const scope: WorkerScope = {
    report,
    plan(deps) {
      const plan = plans.get(deps) ?? planOf(deps, (provider) => replaced.has(provider));
      plans.set(deps, plan);
      return plan;
    },
    known(provider) {
      const given = replaced.get(provider);
      if (given !== undefined || provider.leaf === undefined) return given;
      return Object.hasOwn(leaves, provider.leaf) ? { value: leaves[provider.leaf] } : undefined;
    },
    value(step) {
      const life = lives.get(step.provider);
      if (life !== undefined && !life.isOver()) return life.current() ?? life.ready;
      if (isClosed) throw providerMisused(`"${step.name}" is asked for after its worker has closed`);
      const fresh = begin(scope, step, order);
      lives.set(step.provider, fresh);
      return fresh.ready;
    },
    async close() {
      isClosed = true;
      await Promise.allSettled([...lives.values()].map(({ ready }) => ready));
      await endAll(order.splice(0).reverse());
    },
    [Symbol.asyncDispose]: () => scope.close(),
  };
  return scope;
}

async function endAll(lives: readonly Life[]): Promise<void> {
  const errors: unknown[] = [];
  for (const life of lives) {
    try {
      await life.end();
    } catch (error) {
      errors.push(error);
    }
  }
  if (errors.length === 1) throw errors[0];
  if (errors.length > 1) throw new AggregateError(errors, `${errors.length} providers did not close well`);
}
