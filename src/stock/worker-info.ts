import { DEFAULTS } from "../defaults.ts";
import { getBroker } from "../di/leaves.ts";
import { type Provider, provider } from "../di/provider.ts";
import { engineOf } from "../engine.ts";
import { longestTimeout } from "./timeouts.ts";

/** What stock providers need to know of the worker that they work in. */
export interface WorkerInfo {
  /** Its name in the ledger. */
  readonly worker: string;
  /** Handlers at once: how many sessions a pool needs. */
  readonly concurrency: number;
  /** The longest timeout of its tasks, in ms: how long a transaction may have to stay open. */
  readonly maxTimeoutMs: number;
}

/** The worker at hand. A worker puts its own in the place of this one; where there is none, a usual one is assumed. */
export const getWorkerInfo: Provider<WorkerInfo, "worker"> = provider({
  scope: "worker",
  deps: { broker: getBroker },
  async provide({ broker }, use) {
    const engine = engineOf(broker);
    const info = {
      worker: engine.incarnation,
      concurrency: DEFAULTS.concurrency,
      maxTimeoutMs: longestTimeout(engine),
    };
    return use<WorkerInfo>(info);
  },
});
