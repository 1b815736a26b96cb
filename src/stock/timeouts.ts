import { DEFAULTS } from "../defaults.ts";
import { resolvePolicies } from "../define/resolve-policies.ts";
import type { Engine } from "../engine.ts";

/** A task's timeout, in ms, as far as it is known without the run. */
export function timeoutOf(engine: Engine, task: string): number {
  const record = engine.task(task);
  return record === undefined ? DEFAULTS.timeoutMs : resolvePolicies(record, engine.options.defaults).timeoutMs;
}

/** The longest timeout of a broker's tasks, in ms. */
export function longestTimeout(engine: Engine): number {
  const all = engine.records.map(({ name }) => timeoutOf(engine, name));
  return all.length === 0 ? DEFAULTS.timeoutMs : Math.max(...all);
}
