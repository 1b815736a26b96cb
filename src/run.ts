import type { LedgerEvent } from "../streams/events.ts";
import type { RunState } from "../streams/run.ts";
import type { Duration } from "./define/duration.ts";

/** The instant a cron run is for. */
export interface Slot {
  readonly schedule: string;
  /** The slot itself; the run starts a little later. */
  readonly at: Date;
  /** The slot before it that fired, so that a run can cover (previous, at]. */
  readonly previous: Date | undefined;
  readonly timezone: string;
  /** Why it fired: on time, late, asked for by a backfill, or by hand. */
  readonly trigger: "schedule" | "catch_up" | "backfill" | "manual";
}

/** The third argument of a handler. */
export interface RunContext {
  /** UUIDv7; cron: UUIDv5 of schedule and slot. The same for every attempt. */
  readonly id: string;
  readonly task: string;
  readonly queue: string;
  /** 1 for the first. */
  readonly attempt: number;
  /** Aborted by cancel(), the timeout, a lost lease or lock, and the end of a shutdown's grace; `signal.reason` is a TasktrailError. */
  readonly signal: AbortSignal;
  /** Grows with each delivery. Store it beside what you write and refuse smaller ones, to shut out zombies. */
  readonly fencingToken: string;
  /** What a cron run is for; absent on others. */
  readonly slot?: Slot;
  readonly enqueuedAt: Date;
  readonly labels: Readonly<Record<string, string>>;
  readonly traceId: string | undefined;
  /** run, task, attempt and trace_id, for a logger of your own. */
  readonly bindings: Readonly<Record<string, string | number>>;
  /** Records `run.progressed`, at most once a second; the last one is never lost. */
  progress(done: number, total?: number, note?: string): void;
  /** Moves the deadline, and the lock of a cron run, to this long from now. */
  extend(by: Duration): Promise<void>;
  /** Runs after every provider has closed without an error and before `run.succeeded`; dropped when the attempt fails. Not crash-proof: what is dispatched or published in a session is. */
  onCommit(effect: () => unknown): void;
}

/** Where a run is in its life. `skipped`: another run held its lock. `lost`: Redis lost it. `unknown`: nothing is known of this id. */
export type RunStatus = Exclude<RunState, "none"> | "unknown";

/** A hold on a run, from any process. */
export interface RunHandle<out Result> {
  readonly id: string;
  /** False when `key` met a run that was there before. */
  readonly isNew: boolean;
  status(): Promise<RunStatus>;
  /** Rejects with RunFailed (`cause`: the handler's error), RunCancelled, RunSkipped, or ResultTimeout after `timeout` (default "30s"). Opens one subscriber connection, shared by all handles. */
  result(options?: { readonly timeout?: Duration | undefined }): Promise<Result>;
  /** Ends a waiting run at once; aborts a running one. False when it had ended. */
  cancel(reason?: string): Promise<boolean>;
  /** Its life so far, oldest first. */
  events(): Promise<readonly LedgerEvent[]>;
}
