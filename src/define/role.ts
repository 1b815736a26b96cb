import type { Override } from "../di/provider.ts";
import type { Duration } from "./duration.ts";

/** Whether a role is alive and doing its work. */
export interface Health {
  readonly isLive: boolean;
  readonly isReady: boolean;
  /** Milliseconds since Redis last answered a read. */
  readonly lastReadAgeMs: number;
}

/** A worker, a scheduler or a projector. */
export interface Role extends AsyncDisposable {
  /** Runs until the signal is aborted or `stop()` is called; returns when drained. Rejects when it cannot go on. */
  run(signal?: AbortSignal): Promise<void>;
  /** Stops taking work, waits for `shutdownGrace`, hands the rest back. */
  stop(): Promise<void>;
  readonly health: () => Health;
}

/** What a worker may be told. */
export interface WorkerOptions {
  /** Default: TASKTRAIL_QUEUES (comma-separated), else every queue that a task of the broker names. */
  readonly queues?: readonly string[] | undefined;
  /** Handlers at once. Default: TASKTRAIL_CONCURRENCY, else 10. The pool of `getDbSession` is made as large. */
  readonly concurrency?: number | undefined;
  /** How long a silent worker keeps its entries. Default "30s". */
  readonly lease?: Duration | undefined;
  /** How long `stop()` waits for handlers before it aborts them. Default "30s". */
  readonly shutdownGrace?: Duration | undefined;
  /** Deliveries without an end after which a run dies as poison. Default 5. */
  readonly maxDeliveries?: number | undefined;
  /** How long a run of a task or version that this worker does not know waits for one that does. Default "15m". */
  readonly unknownTaskGrace?: Duration | undefined;
  /** How long a handler may block the event loop before the worker counts as dead. Default "5m". */
  readonly maxBlock?: Duration | undefined;
  /** How many bytes of a queue's ledger stay in Redis when no projector archives it, about: the oldest goes first. Default 268435456 (256 MiB). */
  readonly keepLedgerBytes?: number | undefined;
  /**
   * URLs of the independent Redis servers that hold the overlap locks of cron runs, an odd number of them: the same for all workers. They go on
   * while a majority does. Default: TASKTRAIL_LOCKS (comma-separated), else the broker's own.
   */
  readonly locks?: readonly string[] | undefined;
  /** Values in the place of providers, for all runs of this worker. */
  readonly overrides?: readonly Override[] | undefined;
}

/** What a scheduler may be told. */
export interface SchedulerOptions {
  /** URLs of the Redis servers that hold the lock of firing, an odd number of them. Default: TASKTRAIL_LOCKS (comma-separated), else the broker's own. */
  readonly locks?: readonly string[] | undefined;
}

/** What a projector may be told. */
export interface ProjectorOptions {
  /** Ledger entries per transaction. Default 500. */
  readonly batch?: number | undefined;
  /**
   * When the ledger of a queue is not the one that is archived, since Redis lost its tail, was emptied or came back from a backup: "continue" begins a
   * new life of the queue and brings back what was lost; "pause" stops projecting and trimming that queue, until a projector is told to continue.
   * Default "continue".
   */
  readonly onRegression?: "continue" | "pause" | undefined;
  /** How long what is archived stays in Redis as well. Default "1d". */
  readonly keepTail?: Duration | undefined;
  /** How many bytes of a queue's ledger stay in Redis once they are archived, about, however young they are; 0: any. Default 268435456 (256 MiB). */
  readonly keepTailBytes?: number | undefined;
  /** How many bytes a queue's ledger may have in Redis in all, about, archived or not; 0: any. Past them something gives, as `whenFull` says. Default 0. */
  readonly maxTail?: number | undefined;
  /**
   * What gives when the archive cannot keep up and a ledger is larger than `maxTail`. "refuse": dispatches fail with LedgerFull until a tenth of it is free again; runs in hand,
   * schedules and the outbox go on. "gap": the oldest entries go, unarchived, and `ledger.gap` records it; tables never hear of what was in them. Default "refuse".
   */
  readonly whenFull?: "refuse" | "gap" | undefined;
  /** How long this namespace keeps its archive, at least "1d". Older days are dropped whole; runs that have not ended keep their history. Default: for ever. */
  readonly keepArchive?: Duration | undefined;
  /** Within how many bytes the archive of this database is kept, that of all namespaces together: the oldest days go until the rest fits; the present one stays. Default: any. */
  readonly keepArchiveBytes?: number | undefined;
}
