import { leaf, type Provider } from "../di/provider.ts";

/** What stock providers need to know of the worker that they work in. */
export interface WorkerInfo {
  /** Its name in the ledger. */
  readonly worker: string;
  /** Handlers at once: how many connections a pool needs. */
  readonly concurrency: number;
  /** The longest timeout of its tasks, in ms: how long a transaction may have to stay open. */
  readonly maxTimeoutMs: number;
}

/** The name of the leaf whose value is the worker at hand. Whoever opens a worker scope puts it there. */
export const WORKER_INFO_LEAF = "getWorkerInfo";

/** The worker at hand. */
export const getWorkerInfo: Provider<WorkerInfo, "worker"> = leaf(WORKER_INFO_LEAF, "worker");
