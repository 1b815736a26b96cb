import { AsyncLocalStorage } from "node:async_hooks";
import type { Carrier } from "./middleware.ts";

/** The run whose handler is at work: what it dispatches has it as its parent. */
export interface CurrentRun {
  readonly run: string;
  /** The run that began the chain; the run itself when nobody dispatched it. */
  readonly root: string;
  /** The trace context of the attempt. */
  readonly carrier: Carrier;
  /** What a hook has given to be active meanwhile, or what was made of the carrier since. Telemetry's own matter. */
  context: unknown;
}

const KEY = Symbol.for("tasktrail.current_run");

/** Entered by the worker around each handler. One for all copies of this package: the worker's may be another than the application's. */
export const currentRun: AsyncLocalStorage<CurrentRun> = shared();

function shared(): AsyncLocalStorage<CurrentRun> {
  const holder = globalThis as unknown as Record<symbol, AsyncLocalStorage<CurrentRun> | undefined>;
  holder[KEY] ??= new AsyncLocalStorage();
  return holder[KEY];
}
