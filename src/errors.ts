/** What went wrong, in a word that stays the same over versions. */
export type ErrorCode =
  | "invalid_option"
  | "invalid_input"
  | "invalid_result"
  | "not_json"
  | "too_large"
  | "enqueue_failed"
  | "ledger_full"
  | "redis_unavailable"
  | "no_outbox"
  | "duplicate_task"
  | "no_tasks"
  | "no_handler"
  | "provider_misused"
  | "result_timeout"
  | "result_not_kept"
  | "run_unknown"
  | "schedule_unknown"
  | "run_failed"
  | "run_cancelled"
  | "run_skipped"
  | "timeout"
  | "lease_lost"
  | "lock_lost"
  | "shutdown"
  | "retry"
  | "abort";

/** What an error of ours may carry beside its code and message. */
export interface ErrorExtras {
  readonly cause?: unknown;
  readonly details?: Readonly<Record<string, unknown>> | undefined;
}

// By a registered symbol: errors must be known across two copies of the package, where `instanceof` fails.
const brand = Symbol.for("tasktrail.error");

/**
 * Every error of ours: a stable code, a cause, and a message that says what happened and what to do.
 * Told apart by `code`, not by `instanceof` (there may be two copies of the package).
 */
export class TasktrailError extends Error {
  readonly code: ErrorCode;
  readonly details: Readonly<Record<string, unknown>>;
  constructor(code: ErrorCode, message: string, extras: ErrorExtras = {}) {
    super(message, extras.cause === undefined ? undefined : { cause: extras.cause });
    this.code = code;
    this.details = extras.details ?? {};
    Object.defineProperty(this, "name", { value: nameOf(code), configurable: true, writable: true });
    Object.defineProperty(this, brand, { value: true });
  }
}

/** `invalid_input` is called `InvalidInput` in stacks and logs. */
function nameOf(code: string): string {
  return code.replace(/(?:^|_)([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

/** True for an error of ours, of this copy of the package or another; with a code, for one with that code. */
export function isTasktrailError(error: unknown, code?: ErrorCode): error is TasktrailError {
  if (typeof error !== "object" || error === null || !(brand in error)) return false;
  return code === undefined || (error as unknown as TasktrailError).code === code;
}

/** Whatever was thrown, in words. Never throws itself, as `String(error)` does for an object without a prototype. */
export function wordsOf(thrown: unknown): string {
  try {
    return String(thrown);
  } catch {
    return `a thrown ${typeof thrown} that cannot be shown`;
  }
}

/** An option that cannot be. `option` is its path, such as `retry.attempts`. */
export function invalidOption(option: string, problem: string, extras: ErrorExtras = {}): TasktrailError {
  return new TasktrailError("invalid_option", `${option}: ${problem}`, {
    ...extras,
    details: { option, ...extras.details },
  });
}

/** What is known about a dispatch that did not succeed. */
export interface EnqueueFailure {
  /** True when bytes had been sent, so that the run may exist all the same. */
  readonly ambiguous: boolean;
  /** Runs of this call that Redis did acknowledge. */
  readonly sent: number;
  readonly reason: string;
  readonly cause?: unknown;
}

/** Redis did not take a dispatch. */
export function enqueueFailed(task: string, failure: EnqueueFailure): TasktrailError {
  const { ambiguous, sent, reason, cause } = failure;
  const advice = ambiguous
    ? "It may have been taken all the same: dispatch again with the same `key` to be sure of one run."
    : "Nothing of it was taken: it is safe to dispatch again.";
  const before = sent > 0 ? ` ${sent} ${sent === 1 ? "run was" : "runs were"} taken before that.` : "";
  return new TasktrailError("enqueue_failed", `Task "${task}" was not dispatched: ${reason}.${before} ${advice}`, {
    cause,
    details: { task, ambiguous, sent },
  });
}

/** Redis took a dispatch, and did not vouch for it in time. */
export function enqueueUnconfirmed(task: string, failure: Omit<EnqueueFailure, "ambiguous">): TasktrailError {
  const { sent, reason, cause } = failure;
  return new TasktrailError(
    "enqueue_failed",
    `Task "${task}": the run is written, but not confirmed: ${reason}. It may run, and may be lost if Redis fails now. Dispatch again with the same \`key\` to be sure of one run.`,
    { cause, details: { task, ambiguous: true, sent } },
  );
}

/** Redis did not answer a question about a run. */
export function redisUnavailable(withinMs: number, cause: unknown): TasktrailError {
  const said = cause instanceof Error ? cause.message : String(cause);
  return new TasktrailError(
    "redis_unavailable",
    `Redis has not answered within ${withinMs} ms (${said}). See that it runs, and that REDIS_URL leads there.`,
    { cause },
  );
}

/** The session's database has no outbox. */
export function noOutbox(cause: unknown): TasktrailError {
  return new TasktrailError(
    "no_outbox",
    "The session's database has no table tasktrail_outbox, or not in its search_path. Run: tasktrail migrate",
    { cause },
  );
}

/** One name, declared at several places. */
export function duplicateTask(name: string, places: readonly string[]): TasktrailError {
  return new TasktrailError(
    "duplicate_task",
    `Task "${name}" is declared ${places.length} times, so that a worker cannot tell which handler is meant:\n${places
      .map((place) => `  ${place}`)
      .join("\n")}\nGive each its own name, or make sure that the module is loaded once.`,
    { details: { name, places } },
  );
}

/** A worker that would have nothing to do. */
export function noTasks(): TasktrailError {
  return new TasktrailError(
    "no_tasks",
    "No task is declared on this broker. Import the modules that declare tasks before the worker is created: a task exists once its module has run.",
  );
}

/** A task that this process can dispatch but not run. */
export function noHandler(name: string): TasktrailError {
  return new TasktrailError(
    "no_handler",
    `Task "${name}" has no handler in this process: it is a contract that was bound. Implement it, with contract.implement(broker, { run }), where it is to run.`,
    { details: { name } },
  );
}

/** A provider that breaks the rules of `use`, or cannot be resolved. */
export function providerMisused(problem: string, extras: ErrorExtras = {}): TasktrailError {
  return new TasktrailError("provider_misused", problem, extras);
}

/** No result within the time that was asked for. The run goes on. */
export function resultTimeout(run: string, waitedMs: number): TasktrailError {
  return new TasktrailError(
    "result_timeout",
    `Run ${run} had not ended after ${waitedMs} ms. It goes on: ask again, or wait longer with result({ timeout }). If it never starts, see that a worker for its queue is running.`,
    { details: { run, waitedMs } },
  );
}

/** A run that succeeded, and whose result is no longer, or never was, stored. */
export function resultNotKept(run: string): TasktrailError {
  return new TasktrailError(
    "result_not_kept",
    `Run ${run} has succeeded, but its result is no longer kept. Ask sooner, or raise resultTtl of the task.`,
    { details: { run } },
  );
}

/** An id that belongs to no run that is still remembered. */
export function runUnknown(run: string): TasktrailError {
  return new TasktrailError(
    "run_unknown",
    `No run ${run} is known. Its id may belong to another namespace, or its history may have been deleted.`,
    { details: { run } },
  );
}

/** There is no schedule of that id. */
export function scheduleUnknown(id: string, namespace: string): TasktrailError {
  const message = `There is no schedule "${id}" in namespace "${namespace}". A cron() is one once a scheduler has declared it.`;
  return new TasktrailError("schedule_unknown", message, { details: { schedule: id, namespace } });
}

/** A run that ended without a result. `cause` is the handler's error, as far as it was recorded. */
export function runFailed(run: string, reason: string, cause?: unknown): TasktrailError {
  const because = cause instanceof Error ? `: ${cause.message}` : "";
  return new TasktrailError("run_failed", `Run ${run} has failed (${reason})${because}`, {
    cause,
    details: { run, reason },
  });
}

/** A run that was cancelled. */
export function runCancelled(run: string, reason?: string): TasktrailError {
  return new TasktrailError("run_cancelled", `Run ${run} was cancelled${reason === undefined ? "" : `: ${reason}`}`, {
    details: { run, reason },
  });
}

/** A run that did not start since another one held the lock. */
export function runSkipped(run: string, holder?: string): TasktrailError {
  return new TasktrailError(
    "run_skipped",
    `Run ${run} was skipped, since ${holder === undefined ? "another run" : `run ${holder}`} of the same task was still at work`,
    { details: { run, holder } },
  );
}

/** Why the signal of an attempt was aborted: its time was over. */
export function timedOut(task: string, timeoutMs: number): TasktrailError {
  return new TasktrailError(
    "timeout",
    `The attempt took longer than the timeout of task "${task}", ${timeoutMs} ms. Raise \`timeout\`, or call run.extend() while there is progress.`,
    { details: { task, timeoutMs } },
  );
}

/** Why the signal of an attempt was aborted: the worker no longer owns the run. */
export function leaseLost(run: string): TasktrailError {
  return new TasktrailError(
    "lease_lost",
    `This worker was silent for longer than its lease, and run ${run} has gone to another one. What this attempt still does is not recorded.`,
    { details: { run } },
  );
}

/** Why the signal of an attempt was aborted, or an extension refused: the overlap lock has gone. */
export function lockLost(task: string, holder?: string): TasktrailError {
  return new TasktrailError(
    "lock_lost",
    `The overlap lock of "${task}" has ${holder === undefined ? "expired" : `gone to run ${holder}`}. Raise \`lockTtl\`, or call run.extend() before it ends.`,
    { details: { task, holder } },
  );
}

/** Why the signal of an attempt was aborted: the worker stops, and its grace is over. */
export function shuttingDown(graceMs: number): TasktrailError {
  return new TasktrailError(
    "shutdown",
    `The worker is stopping, and ${graceMs} ms of grace are over. The run goes back to the queue; no attempt is used up.`,
    { details: { graceMs } },
  );
}
