import { AsyncLocalStorage } from "node:async_hooks";
import { type Context, type ContextManager, ROOT_CONTEXT } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import { type CurrentRun, currentRun } from "../src/current-run.ts";
import { extract } from "./propagation.ts";

/** What is active in a process: what was entered last, a context or the run whose handler is at work. */
export interface RunContexts {
  /** For the SDK. */
  readonly manager: ContextManager;
  /** Begins something in a context that is made once somebody asks for it. */
  enter(make: () => Context, begin: () => void): void;
}

/** A context, and the run within which it was entered: a run that was entered later goes before it. */
interface Entered {
  context: Context | undefined;
  readonly make: (() => Context) | undefined;
  readonly within: CurrentRun | undefined;
}

/**
 * A context manager that takes the run for a context: the engine enters it around each handler anyhow, and to enter another thing around that
 * took a tenth of what a run costs. Of a run that sampling leaves out a context is made only when somebody asks, which is when its handler is traced at all.
 */
export function createRunContexts(): RunContexts {
  const storage = new AsyncLocalStorage<Entered | undefined>();
  const entered = (context: Context | undefined, make?: () => Context): Entered => ({
    context,
    make,
    within: currentRun.getStore(),
  });
  const active = (): Context => {
    const run = currentRun.getStore();
    const last = storage.getStore();
    if (last !== undefined && (run === undefined || last.within === run)) {
      last.context ??= last.make?.() ?? ROOT_CONTEXT;
      return last.context;
    }
    if (run === undefined) return ROOT_CONTEXT;
    run.context ??= extract(run.carrier);
    return run.context as Context;
  };
  // The SDK's own knows how functions and event emitters are bound, which it does by `with`.
  const manager: ContextManager = Object.assign(new AsyncLocalStorageContextManager(), {
    active,
    with: ((context, fn, self, ...args) =>
      storage.run(entered(context), () => fn.apply(self, args))) as ContextManager["with"],
    attach(context: Context) {
      const before = storage.getStore();
      storage.enterWith(entered(context));
      return { dispose: () => storage.enterWith(before) };
    },
  });
  return {
    manager,
    enter: (make, begin) => storage.run(entered(undefined, make), begin),
  };
}
