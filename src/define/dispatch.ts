import type { RunHandle } from "../run.ts";
import type { Duration } from "./duration.ts";
import type { RetryPolicy } from "./policy.ts";
import type { SqlSession } from "./session.ts";

/** No argument for a task without input. */
export type InputArgs<Input> = [Input] extends [undefined] ? [] : [input: Input];

/** What may be said about one dispatch. */
export interface DispatchOptions {
  /** Not before this long from now. Not together with `at`. */
  readonly delay?: Duration | undefined;
  /** Not before this instant. Not together with `delay`. */
  readonly at?: Date | undefined;
  /** Idempotency key, per task: a second dispatch with it gives the first run back, whatever became of that. */
  readonly key?: string | undefined;
  /** How long `key` holds: a time from the dispatch, or `"run"`, until the run ends. Default "24h". */
  readonly keyTtl?: Duration | "run" | undefined;
  /** Dies as `expired` when it has not started this long after it was due. Default: never. */
  readonly expires?: Duration | undefined;
  /** Default: the task's. */
  readonly queue?: string | undefined;
  /** Carried on every event of the run; at most 16. */
  readonly labels?: Readonly<Record<string, string>> | undefined;
  /** Per attempt. Default: the task's. */
  readonly timeout?: Duration | undefined;
  /** Travels with the run; the functions among its fields stay on the task. */
  readonly retry?:
    | (Omit<RetryPolicy, "backoff" | "when"> & { readonly backoff?: "exponential" | "fixed" | undefined })
    | undefined;
  /**
   * Dispatches by writing into this open transaction: what rolls back was never dispatched, what commits is, whatever crashes. `kiq`
   * resolves once Postgres has the row; the run appears in Redis soon after the commit, through a relay (which every projector runs).
   */
  readonly session?: SqlSession | undefined;
}

/** Dispatches runs of one task. */
export interface Dispatcher<in Input, out Result> {
  /** Dispatches a run; resolves once Redis has it. Throws InvalidInput before anything is sent; EnqueueFailed when Redis does not answer in time (again with the same `key` is safe). */
  kiq(...input: InputArgs<Input>): Promise<RunHandle<Result>>;
  /** Dispatches many, in order; `key` gives each its idempotency key. All or none per 500: EnqueueFailed says how many were sent. */
  kiqMany(inputs: readonly Input[], options?: { key?(input: Input): string }): Promise<RunHandle<Result>[]>;
}

/** A task that can be dispatched; its handler may live in another process. */
export interface TaskRef<in Input, out Result> extends Dispatcher<Input, Result> {
  readonly name: string;
  /** The same with options, for one dispatch or kept for many. */
  with(options: DispatchOptions): Dispatcher<Input, Result>;
  /** A hold on a run dispatched earlier, by its id. */
  handle(id: string): RunHandle<Result>;
}
