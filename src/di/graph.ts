import { providerMisused } from "../errors.ts";
import type { Deps, ProviderRecord } from "./provider.ts";

/** What has to be opened for a `deps` object: each provider once, after those that it needs. */
export interface Plan {
  readonly workerScoped: readonly Step[];
  readonly runScoped: readonly Step[];
}

/** A provider, and what messages call it: the names that lead to it, as in `db.pool`. */
export interface Step {
  readonly provider: ProviderRecord;
  readonly name: string;
}

/**
 * The order in which to open what `deps` need. Leaves and what `isReplaced` are not opened, and so not in it, nor is what they alone need.
 * Throws ProviderMisused for a circle, for what is undefined or no provider, and for a worker-scoped provider that needs a run-scoped one.
 */
export function planOf(deps: Deps, isReplaced: (provider: ProviderRecord) => boolean): Plan {
  const steps = new Map<ProviderRecord, Step>();
  const visit = (provider: ProviderRecord, trail: readonly Step[], key: string): void => {
    const holder = trail.at(-1);
    const step: Step = { provider, name: holder === undefined ? key : `${holder.name}.${key}` };
    checkStep(step, trail);
    if (steps.has(provider) || provider.leaf !== undefined || isReplaced(provider)) return;
    for (const [name, dep] of Object.entries(provider.deps)) visit(dep, [...trail, step], name);
    steps.set(provider, step);
  };
  for (const [name, dep] of Object.entries(deps)) visit(dep as ProviderRecord, [], name);
  const all = [...steps.values()];
  return {
    workerScoped: all.filter(({ provider }) => provider.scope === "worker"),
    runScoped: all.filter(({ provider }) => provider.scope === "run"),
  };
}

function checkStep({ provider, name }: Step, trail: readonly Step[]): void {
  if (provider?.kind !== "tasktrail.provider") {
    throw providerMisused(
      `deps.${name} is ${provider === undefined ? "undefined" : "not a provider"}: when two modules import each other, one of them runs before the other has made its providers. Move the provider to a file of its own`,
    );
  }
  const holder = trail.at(-1);
  if (provider.scope === "run" && holder?.provider.scope === "worker") {
    throw providerMisused(
      `"${holder.name}" lives as long as its worker, and cannot need "${name}", which ends with its run. Give "${holder.name}" the scope "run"`,
    );
  }
  const start = trail.findIndex((step) => step.provider === provider);
  if (start < 0) return;
  const circle = [...trail.slice(start).map((step) => step.name), name].join(" -> ");
  throw providerMisused(`providers need each other in a circle: ${circle}`);
}
