import { providerMisused } from "../errors.ts";
import type { Step } from "./graph.ts";
import type { ProviderRecord } from "./provider.ts";

/** A value in a box, so that one that can be awaited is not taken for its own future. */
export interface Box {
  readonly value: unknown;
}

/** Where values come from that are not a run's own. */
export interface Values {
  /** The value that stands in for a provider, or that a leaf has; undefined when it has to be opened. */
  known(provider: ProviderRecord): Box | undefined;
  /** The value of a worker-scoped provider: at once when it is open, else once it is. Many may ask; it is opened once. */
  value(step: Step): Box | Promise<Box>;
  /** Hears of mistakes in providers that nobody else can be told about. */
  readonly report: (problem: string, error: unknown) => void;
}

/** What `use` resolves to, for a provider to hand back. */
export const USED = Object.freeze({ used: true });

/** The time in which a worker-scoped value is open, with its opening and its end. */
export interface Life {
  /** Undefined until the value is there. */
  current(): Box | undefined;
  /** The value, or the error of its opening. */
  readonly ready: Promise<Box>;
  /** True when the provider gave up with an error, so that the next need has to begin again. */
  isOver(): boolean;
  /** Lets the provider go on after its `use`, and waits until it has closed. Rejects with its error. */
  end(): Promise<void>;
}

/** Opens a worker-scoped value. `order` gets its life once there is a value, so that what it needs stands before it. */
export function begin(values: Values, step: Step, order: Life[]): Life {
  const ready = Promise.withResolvers<Box>();
  const released = Promise.withResolvers<void>();
  const state = { current: undefined as Box | undefined, isReleased: false, isOver: false };
  const life: Life = {
    ready: ready.promise,
    current: () => state.current,
    isOver: () => state.isOver,
    end() {
      state.isReleased = true;
      released.resolve();
      return finished;
    },
  };
  const use = async (value: unknown) => {
    if (state.current !== undefined) throw usedTwice(step.name);
    state.current = { value };
    order.push(life);
    ready.resolve(state.current);
    await released.promise;
    return USED;
  };
  const finished = provide(values, step, use).then(() => {
    if (state.current === undefined) throw neverUsed(step.name);
    if (!state.isReleased) throw endedEarly(step.name);
  });
  finished.catch((error: unknown) => {
    state.isOver = !state.isReleased;
    if (state.current === undefined) ready.reject(error);
    else if (!state.isReleased) {
      order.splice(order.indexOf(life), 1);
      values.report(`"${step.name}" ended while its worker needed it; the next run opens it again`, error);
    }
  });
  return life;
}

async function provide(values: Values, { provider, name }: Step, use: (value: unknown) => Promise<unknown>) {
  const needed: Record<string, unknown> = {};
  for (const [key, dep] of Object.entries(provider.deps)) {
    needed[key] = (await boxOf(values, { provider: dep, name: `${name}.${key}` })).value;
  }
  await provider.provide?.(needed, use);
}

/** The value of a provider that is not run-scoped: an override's, a leaf's, or one that is opened for it. */
export function boxOf(values: Values, step: Step): Box | Promise<Box> {
  const known = values.known(step.provider);
  if (known !== undefined) return known;
  if (step.provider.leaf !== undefined) throw noLeaf(step.provider, step.name);
  return values.value(step);
}

/** The error of a leaf that is asked for where the engine has no value for it. */
export function noLeaf({ leaf }: ProviderRecord, name: string) {
  return providerMisused(`"${name}" is ${leaf}, which has no value here`);
}

/** The error of a provider that calls `use` again. */
export function usedTwice(name: string) {
  return providerMisused(
    `provider "${name}" called use() twice, and would have run everything inside it again. If it was a library that repeats its transactions, turn that off (slonik: retryLimit 0): the task's own retry does it`,
  );
}

/** The error of a provider that returns without having called `use`. */
export function neverUsed(name: string) {
  return providerMisused(`provider "${name}" returned without calling use(value)`);
}

function endedEarly(name: string) {
  return providerMisused(
    `provider "${name}" returned before its worker had stopped: it has to return, or await, what use(value) gave`,
  );
}
