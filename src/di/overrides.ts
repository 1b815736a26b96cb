import { didYouMean } from "../define/spelling.ts";
import { invalidOption } from "../errors.ts";
import type { Deps, Override } from "./provider.ts";

/** Overrides as `call` takes them, by name or by provider, all by provider. Throws InvalidOption for a name that the task does not use. */
export function overridesOf(
  task: { readonly name: string; readonly deps: Deps },
  given: Readonly<Record<string, unknown>> | readonly Override[] | undefined,
): readonly Override[] {
  if (given === undefined) return [];
  if (Array.isArray(given)) return given.map(checkOverride);
  if (typeof given !== "object" || given === null)
    throw invalidOption("overrides", "takes an object, or a list of override(…)");
  return Object.entries(given).flatMap(([name, replacement]) => {
    const provider = Object.hasOwn(task.deps, name) ? task.deps[name] : undefined;
    if (provider === undefined) {
      const hint = didYouMean(name, Object.keys(task.deps));
      throw invalidOption(`overrides.${name}`, `task "${task.name}" has no such dependency${hint}`);
    }
    // As with a missing property: `{ db: undefined }` leaves it as it is.
    return replacement === undefined ? [] : [{ kind: "tasktrail.override" as const, provider, replacement }];
  });
}

function checkOverride(one: Override): Override {
  if (one?.kind === "tasktrail.override") return one;
  throw invalidOption("overrides", "takes what override(provider, value) gives");
}
