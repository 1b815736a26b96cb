import type { RunContext } from "../run.ts";
import type { Step } from "./graph.ts";
import { RUN_LEAF } from "./leaves.ts";
import { boxOf, neverUsed, noLeaf, USED, usedTwice } from "./life.ts";
import type { Deps, ProviderRecord } from "./provider.ts";
import type { WorkerScope } from "./worker-scope.ts";

/** What dependencies are resolved for. */
export interface Attempt {
  readonly scope: WorkerScope;
  readonly run: RunContext;
}

const none: Readonly<Record<string, unknown>> = Object.freeze({});

/**
 * Opens what a task needs, runs `inside` with it, and closes it again in reverse order.
 * Resolves to what `inside` gave only when everything has also closed well. What `inside` throws is thrown, whatever providers make of it.
 * Without dependencies, or with worker-scoped ones that are open already, `inside` is called at once, and no promise is made.
 */
export function withDeps<T>(
  deps: Deps,
  attempt: Attempt,
  inside: (values: Record<string, unknown>) => T | Promise<T>,
): T | Promise<T> {
  if (isEmpty(deps)) return inside(none);
  const { workerScoped, runScoped } = attempt.scope.plan(deps);
  const nest: Nest<T> = { attempt, open: new Map(), steps: runScoped, inside: () => inside(pick(deps, nest)) };
  const waiting = openWorkerScoped(workerScoped, nest);
  const go = () => (runScoped.length === 0 ? nest.inside() : openRunScoped(nest, 0));
  return waiting === undefined ? go() : waiting.then(go);
}

/** What is open for one attempt, and what is still to be opened around the handler. */
interface Nest<T> {
  readonly attempt: Attempt;
  readonly open: Map<ProviderRecord, unknown>;
  readonly steps: readonly Step[];
  inside(): T | Promise<T>;
}

function isEmpty(deps: object): boolean {
  for (const _ in deps) return false;
  return true;
}

/** Undefined when all of them are open already: then there is nothing to wait for. */
function openWorkerScoped(steps: readonly Step[], nest: Nest<unknown>): Promise<void> | undefined {
  for (const [index, step] of steps.entries()) {
    const box = boxOf(nest.attempt.scope, step);
    if (box instanceof Promise) return openRest(steps.slice(index), nest);
    nest.open.set(step.provider, box.value);
  }
  return undefined;
}

async function openRest(steps: readonly Step[], { attempt, open }: Nest<unknown>): Promise<void> {
  for (const step of steps) open.set(step.provider, (await boxOf(attempt.scope, step)).value);
}

/** Opens the provider at `index`, everything after it inside of that, and closes it. */
async function openRunScoped<T>(nest: Nest<T>, index: number): Promise<T> {
  const step = nest.steps[index];
  if (step === undefined) return nest.inside();
  let inner: Promise<T> | undefined;
  let misuse: unknown;
  const use = (value: unknown) => {
    if (inner !== undefined) misuse = usedTwice(step.name);
    nest.open.set(step.provider, inner === undefined ? value : nest.open.get(step.provider));
    inner ??= openRunScoped(nest, index + 1);
    const used = misuse === undefined ? inner.then(() => USED) : Promise.reject(misuse);
    used.catch(() => {}); // the outcome is known here, whether or not the provider looks at it
    return used;
  };
  let closing: { readonly error: unknown } | undefined;
  try {
    await step.provider.provide?.(pick(step.provider.deps, nest), use);
  } catch (error) {
    closing = { error };
  }
  if (inner === undefined) throw closing === undefined ? neverUsed(step.name) : closing.error;
  const result = await outcomeOf(inner, step, { closing, report: nest.attempt.scope.report });
  if (misuse !== undefined) throw misuse;
  // A commit that failed, say: the handler did well, and the attempt did not.
  if (closing !== undefined) throw closing.error;
  return result;
}

/** The outcome of what ran inside. Its error goes before that of the provider, which is told about, unless it only wraps it. */
async function outcomeOf<T>(
  inner: Promise<T>,
  { name }: Step,
  { closing, report }: { closing: { readonly error: unknown } | undefined; report: WorkerScope["report"] },
): Promise<T> {
  try {
    return await inner;
  } catch (error) {
    if (closing !== undefined && !leadsTo(closing.error, error)) report(`"${name}" did not close well`, closing.error);
    throw error;
  }
}

function leadsTo(error: unknown, cause: unknown): boolean {
  for (let one = error, depth = 0; depth < 10; one = (one as { cause?: unknown } | undefined)?.cause, depth++) {
    if (one === cause) return true;
    if (typeof one !== "object" || one === null) return false;
  }
  return false;
}

/** The values for a `deps` object. */
function pick(deps: Readonly<Record<string, unknown>>, { attempt, open }: Nest<unknown>): Record<string, unknown> {
  const values: Record<string, unknown> = {};
  for (const [name, dep] of Object.entries(deps)) {
    const provider = dep as ProviderRecord;
    const known = attempt.scope.known(provider);
    if (known !== undefined) values[name] = known.value;
    else if (provider.leaf === RUN_LEAF) values[name] = attempt.run;
    else if (provider.leaf !== undefined) throw noLeaf(provider, name);
    else values[name] = open.get(provider);
  }
  return values;
}
