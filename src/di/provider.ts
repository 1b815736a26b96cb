// biome-ignore-all lint/suspicious/noExplicitAny: what is inferred has to be left open, and `unknown` would close it
// biome-ignore-all lint/complexity/noBannedTypes: `{}` is what a task without dependencies needs, and how editors show it
import { invalidOption } from "../errors.ts";

/** How long a provided value lives: for one attempt, or from a worker's first need of it to that worker's stop. */
export type Scope = "run" | "worker";
declare const value: unique symbol;
declare const used: unique symbol;
/** A dependency that tasks and other providers ask for. */
export interface Provider<Value, ScopeOf extends Scope = Scope> {
  readonly kind: "tasktrail.provider";
  readonly scope: ScopeOf;
  readonly [value]: Value;
}
/** What `use` resolves to. A provider has to return it, so that a forgotten `use` does not compile, and so that its value's type is inferred. */
export interface Used<Value> {
  readonly [used]: Value;
}
/** Hands the value on; resolves when everything inside has ended well, rejects with its error. To be called once. */
export type Use = <Value>(value: Value) => Promise<Used<Value>>;
/** What a task or a provider asks for, by the names that it uses. */
export type Deps<ScopeOf extends Scope = Scope> = Readonly<Record<string, Provider<any, ScopeOf>>>;
/** The values of a `deps` object. */
export type Values<D> = { [K in keyof D]: D[K] extends Provider<infer Value, any> ? Value : never } & {};

/** How a value is opened, handed on and closed. */
export interface ProviderDefinition<Value, D extends Deps, ScopeOf extends Scope> {
  /** `"run"` (default): opened for each attempt. `"worker"`: opened on first need, closed when the worker stops. */
  readonly scope?: ScopeOf | undefined;
  /** What it needs; of a worker-scoped provider, worker-scoped ones only. */
  readonly deps?: D | undefined;
  /** Opens, hands the value to `use`, returns what `use` gave, closes. Commit after `use`; roll back when it rejects, and throw on. */
  provide(this: void, deps: Values<D>, use: Use): Promise<Used<Value>>;
}
type ScopeCheck<D extends Deps, ScopeOf extends Scope> = ScopeOf extends "worker"
  ? {
      readonly deps?:
        | {
            readonly [K in keyof D]: D[K] extends Provider<any, "worker">
              ? D[K]
              : "a worker-scoped provider outlives its runs and cannot need a run-scoped one";
          }
        | undefined;
    }
  : unknown;

/** A provider as the engine sees it. */
export interface ProviderRecord extends Provider<any> {
  readonly deps: Readonly<Record<string, ProviderRecord>>;
  /** Absent for a leaf, whose value the engine knows. */
  readonly provide?:
    | ((deps: Record<string, unknown>, use: (value: unknown) => Promise<unknown>) => Promise<unknown>)
    | undefined;
  /** The name of a leaf. Two copies of the package have two objects for it, and one name. */
  readonly leaf?: string | undefined;
}

/** A dependency for tasks and other providers. Throws InvalidOption when its module needs one that has not run yet. */
export function provider<Value, D extends Deps = {}, ScopeOf extends Scope = "run">(
  definition: ProviderDefinition<Value, D, ScopeOf> & ScopeCheck<D, ScopeOf>,
): Provider<Value, ScopeOf> {
  const { scope = "run", deps = {}, provide } = definition as ProviderDefinition<Value, Deps, Scope>;
  if (typeof provide !== "function")
    throw invalidOption("provide", "a provider needs a function that calls use(value)");
  if (scope !== "run" && scope !== "worker")
    throw invalidOption("scope", `"${String(scope)}" is neither "run" nor "worker"`);
  checkDeps("a provider", deps);
  return { kind: "tasktrail.provider", scope, deps, provide } as unknown as Provider<Value, ScopeOf>;
}

/** A provider whose value the engine knows without opening anything. */
export function leaf<Value, ScopeOf extends Scope>(name: string, scope: ScopeOf): Provider<Value, ScopeOf> {
  return { kind: "tasktrail.provider", scope, deps: {}, leaf: name } as unknown as Provider<Value, ScopeOf>;
}

/** Throws InvalidOption for what is no provider, and says why an undefined one is probably undefined. */
export function checkDeps(owner: string, deps: unknown): void {
  if (typeof deps !== "object" || deps === null) throw invalidOption("deps", `${owner} takes an object of providers`);
  for (const [name, dep] of Object.entries(deps)) {
    if (dep === undefined) {
      throw invalidOption(
        `deps.${name}`,
        `undefined when ${owner} was declared: the module that makes the provider has not run yet. Two modules import each other; move the provider to a file of its own`,
      );
    }
    if ((dep as Partial<ProviderRecord> | null)?.kind !== "tasktrail.provider") {
      throw invalidOption(`deps.${name}`, "not a provider: make one with provider({ provide })");
    }
  }
}

/** Stands in for a provider wherever it is needed, nested too: in `call`, `testBroker`, and `createWorker` (values of another container, such as Nest's). */
export interface Override {
  readonly kind: "tasktrail.override";
  readonly provider: Provider<unknown>;
  readonly replacement: unknown;
}

/** Puts `replacement` in the place of what `provider` would give. The provider is not opened. */
export function override<Value>(provider: Provider<Value, any>, replacement: NoInfer<Value>): Override {
  if ((provider as Partial<ProviderRecord> | undefined)?.kind !== "tasktrail.provider") {
    throw invalidOption("override", "the first argument is not a provider");
  }
  return { kind: "tasktrail.override", provider: provider as Provider<unknown>, replacement };
}
