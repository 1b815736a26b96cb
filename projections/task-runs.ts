import { type TaskRun, type TaskRunStatus, taskRunsTable } from "../sql/queries/task-runs.ts";
import { type ENDINGS, isEnding, type LedgerEvent, type RecordedError } from "../streams/events.ts";
import { isRunId } from "../streams/ids.ts";
import { LEGAL } from "../streams/run.ts";
import { placeOf, withPosition } from "./positions.ts";
import { HistoryViolation, type Projection } from "./projection.ts";

/** One row per run: where it is in its life, and what happened on the way. */
export const taskRuns: Projection<TaskRun> = {
  name: "task_runs",
  version: 1,
  table: taskRunsTable,
  key,
  fold,
  isOver: ({ endedAt }) => endedAt !== null,
};

type RunEvent = Extract<LedgerEvent, { readonly run: string }>;

function key(event: LedgerEvent): string | undefined {
  if (!event.type.startsWith("run.") || event.type === "run.progressed") return undefined;
  const { run } = event as { run?: string };
  if (run === undefined) return undefined; // run.lost, when nothing but the entry is known
  if (!isRunId(run)) throw new TypeError(`"${run}" is no run id`);
  return run;
}

function fold(row: TaskRun | undefined, event: LedgerEvent): TaskRun | undefined {
  const step = LEGAL[event.type];
  if (row === undefined) {
    if (step === undefined) return undefined;
    const first = blank(event as RunEvent);
    write(first, event);
    return first;
  }
  const positions = withPosition(row.positions, event.position ?? "");
  if (positions === "backwards")
    throw new HistoryViolation(event, "which is before what its run's row has already seen");
  const next: Draft = { ...row };
  next.positions = positions;
  if (step === undefined || !isEnding(`run.${row.status}`)) write(next, event);
  else if (isSameLife(row, event))
    throw new HistoryViolation(event, `although run ${row.id} had ended as ${row.status}`);
  return next;
}

/** False in a later life of the lane, in which a run may end again: the first ending stands. */
function isSameLife({ positions }: TaskRun, event: LedgerEvent): boolean {
  return !positions.includes("\n") && positions.startsWith(`${placeOf(event.position ?? "")} `);
}

function blank(event: RunEvent): Draft {
  return {
    id: event.run,
    queue: event.queue,
    taskName: (event as { task?: string }).task ?? "",
    status: "waiting",
    attempts: 0,
    redeliveries: 0,
    deferrals: 0,
    enqueuedAt: null,
    dueAt: null,
    expiresAt: null,
    startedAt: null,
    lastStartedAt: null,
    endedAt: null,
    cancelRequestedAt: null,
    waitedMs: null,
    durationMs: null,
    worker: null,
    reason: null,
    errorType: null,
    errorMessage: null,
    errorStack: null,
    errorCode: null,
    errorFingerprint: null,
    key: null,
    labels: null,
    taskVersion: null,
    schedule: null,
    slot: null,
    trigger: null,
    parent: null,
    root: null,
    redriveOf: null,
    redrivenAs: null,
    traceId: event.traceId ?? null,
    positions: withPosition("", event.position ?? ""),
  };
}

/** A row of our own, on its way to become the next one. Written to in place: a copy per event is what a fold costs. */
type Draft = { -readonly [Column in keyof TaskRun]: TaskRun[Column] };

/** Writes what an event changes in the row of its run. */
function write(row: Draft, event: LedgerEvent): void {
  switch (event.type) {
    case "run.enqueued":
      writeEnqueued(row, event);
      break;
    case "run.started":
      writeStarted(row, event);
      break;
    case "run.failed":
      writeFailed(row, event);
      break;
    case "run.redelivered":
    case "run.recovered":
      row.status = "waiting";
      row.redeliveries += 1;
      break;
    case "run.due":
    case "run.released":
      row.status = "waiting";
      break;
    case "run.restored":
      row.status = event.dueAt === undefined ? "waiting" : "scheduled";
      row.dueAt = event.dueAt ?? row.dueAt;
      row.reason = event.reason ?? null;
      break;
    case "run.deferred":
      writeDeferred(row, event);
      break;
    case "run.cancel_requested":
      row.cancelRequestedAt ??= event.at;
      break;
    case "run.redriven":
      row.redrivenAs = event.as;
      break;
    default:
      if (isEnding(event.type)) writeEnding(row, event as Ending);
  }
}

function writeEnqueued(row: Draft, event: LedgerEvent<"run.enqueued">): void {
  row.status = event.dueAt === undefined ? "waiting" : "scheduled";
  row.enqueuedAt ??= event.at;
  row.dueAt = event.dueAt ?? null;
  row.expiresAt = event.expiresAt ?? null;
  row.key = event.key ?? null;
  row.labels = event.labels ?? null;
  row.taskVersion = event.taskVersion ?? null;
  row.schedule = event.schedule ?? null;
  row.slot = event.slot ?? null;
  row.trigger = event.trigger ?? null;
  row.parent = event.parent ?? null;
  row.root = event.root ?? null;
  row.redriveOf = event.redriveOf ?? null;
}

function writeStarted(row: Draft, event: LedgerEvent<"run.started">): void {
  row.status = "running";
  row.attempts = Math.max(row.attempts, event.attempt);
  row.startedAt ??= event.at;
  row.lastStartedAt = event.at;
  row.waitedMs = event.waitedMs ?? null;
  row.durationMs = null;
  row.worker = event.worker;
  row.reason = null;
  row.schedule ??= event.schedule ?? null;
  row.slot ??= event.slot ?? null;
}

function writeFailed(row: Draft, event: LedgerEvent<"run.failed">): void {
  writeAttempt(row, event);
  writeError(row, event.error);
  row.status = "retrying";
  row.dueAt = event.retryAt ?? null;
}

function writeDeferred(row: Draft, event: LedgerEvent<"run.deferred">): void {
  row.status = "scheduled";
  row.deferrals += 1;
  row.reason = event.reason;
  row.dueAt = event.retryAt;
}

type Ending = LedgerEvent<(typeof ENDINGS)[number]>;

function writeEnding(row: Draft, event: Ending): void {
  const { reason, error } = event as { reason?: string; error?: RecordedError };
  writeAttempt(row, event as Attempt);
  writeError(row, error);
  row.status = event.type.slice(4) as TaskRunStatus;
  row.endedAt = event.at;
  row.reason = row.status === "succeeded" ? null : (reason ?? row.status); // the index of what went otherwise goes by it
}

type Attempt = {
  readonly attempt?: number | undefined;
  readonly durationMs?: number | undefined;
  readonly worker?: string | undefined;
};

/** What the end of an attempt says about it. Some runs end without one. */
function writeAttempt(row: Draft, event: Attempt): void {
  if (event.durationMs !== undefined) {
    row.durationMs = event.durationMs;
    row.attempts = Math.max(row.attempts, event.attempt ?? 0);
  }
  row.worker = event.worker ?? row.worker;
}

function writeError(row: Draft, error: RecordedError | undefined): void {
  if (error === undefined) return;
  row.errorType = error.type;
  row.errorMessage = error.message;
  row.errorStack = error.stack ?? null;
  row.errorCode = error.code ?? null;
  row.errorFingerprint = error.fingerprint;
}
