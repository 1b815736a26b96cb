import { AsyncLocalStorage } from "node:async_hooks";
import type { Carrier } from "../middleware.ts";

/** The run whose handler is at work: what it dispatches has it as its parent. */
export interface CurrentRun {
  readonly run: string;
  /** The run that began the chain; the run itself when nobody dispatched it. */
  readonly root: string;
  /** The trace context of the attempt. */
  readonly carrier: Carrier;
}

/** Entered by the worker around each handler. */
export const currentRun: AsyncLocalStorage<CurrentRun> = new AsyncLocalStorage();
