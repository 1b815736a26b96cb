import { type TaskRun, type TaskRunStatus, taskRunsTable } from "../sql/queries/task-runs.ts";
import { type ENDINGS, isEnding, type LedgerEvent, type RecordedError } from "../streams/events.ts";
import { isRunId } from "../streams/ids.ts";
import { LEGAL } from "../streams/run.ts";
import { placeOf, withPosition } from "./positions.ts";
import { HistoryViolation, type Projection } from "./projection.ts";

/** One row per run: where it is in its life, and what happened on the way. */
export const taskRuns: Projection<TaskRun> = { name: "task_runs", version: 1, table: taskRunsTable, key, fold };

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
  if (row === undefined) return step === undefined ? undefined : advance(blank(event as RunEvent), event);
  const place = withPosition(row.positions, event.position ?? "");
  if (place === "backwards") throw new HistoryViolation(event, "which is before what its run's row has already seen");
  const placed = place === row.positions ? row : { ...row, positions: place };
  if (step === undefined || !isEnding(`run.${row.status}`)) return advance(placed, event);
  if (row.positions.includes("\n") || !row.positions.startsWith(`${placeOf(event.position ?? "")} `)) return placed; // a later life of the lane: the first ending stands
  throw new HistoryViolation(event, `although run ${row.id} had ended as ${row.status}`);
}

function blank(event: RunEvent): TaskRun {
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

function advance(row: TaskRun, event: LedgerEvent): TaskRun {
  if (isEnding(event.type)) return ended(row, event as Ending);
  switch (event.type) {
    case "run.enqueued":
      return enqueued(row, event);
    case "run.started":
      return started(row, event);
    case "run.failed":
      return {
        ...row,
        ...attempted(row, event),
        ...failed(event.error),
        status: "retrying",
        dueAt: event.retryAt ?? null,
      };
    case "run.redelivered":
    case "run.recovered":
      return { ...row, status: "waiting", redeliveries: row.redeliveries + 1 };
    case "run.due":
    case "run.released":
      return { ...row, status: "waiting" };
    case "run.restored":
      return { ...row, status: "waiting", reason: event.reason ?? null };
    case "run.deferred":
      return { ...row, status: "scheduled", deferrals: row.deferrals + 1, reason: event.reason, dueAt: event.retryAt };
    case "run.cancel_requested":
      return { ...row, cancelRequestedAt: row.cancelRequestedAt ?? event.at };
    case "run.redriven":
      return { ...row, redrivenAs: event.as };
    default:
      return row;
  }
}

function enqueued(row: TaskRun, event: LedgerEvent<"run.enqueued">): TaskRun {
  return {
    ...row,
    status: event.dueAt === undefined ? "waiting" : "scheduled",
    enqueuedAt: row.enqueuedAt ?? event.at,
    dueAt: event.dueAt ?? null,
    expiresAt: event.expiresAt ?? null,
    key: event.key ?? null,
    labels: event.labels ?? null,
    taskVersion: event.taskVersion ?? null,
    schedule: event.schedule ?? null,
    slot: event.slot ?? null,
    trigger: event.trigger ?? null,
    parent: event.parent ?? null,
    root: event.root ?? null,
    redriveOf: event.redriveOf ?? null,
  };
}

function started(row: TaskRun, event: LedgerEvent<"run.started">): TaskRun {
  return {
    ...row,
    status: "running",
    attempts: Math.max(row.attempts, event.attempt),
    startedAt: row.startedAt ?? event.at,
    lastStartedAt: event.at,
    waitedMs: event.waitedMs ?? null,
    durationMs: null,
    worker: event.worker,
    reason: null,
    schedule: row.schedule ?? event.schedule ?? null,
    slot: row.slot ?? event.slot ?? null,
  };
}

type Ending = LedgerEvent<(typeof ENDINGS)[number]>;

function ended(row: TaskRun, event: Ending): TaskRun {
  const { reason, error, ...attempt } = event as Attempted & { reason?: string; error?: RecordedError };
  const status = event.type.slice(4) as TaskRunStatus;
  return {
    ...row,
    ...attempted(row, attempt),
    ...failed(error),
    status,
    endedAt: event.at,
    reason: event.type === "run.succeeded" ? null : (reason ?? status), // the index of what went otherwise goes by it
  };
}

type Attempted = {
  readonly attempt?: number | undefined;
  readonly durationMs?: number | undefined;
  readonly worker?: string | undefined;
};

/** What the end of an attempt says about it. Some runs end without one. */
function attempted(row: TaskRun, event: Attempted): Pick<TaskRun, "attempts" | "durationMs" | "worker"> {
  const hasRun = event.durationMs !== undefined;
  return {
    attempts: hasRun ? Math.max(row.attempts, event.attempt ?? 0) : row.attempts,
    durationMs: event.durationMs ?? row.durationMs,
    worker: event.worker ?? row.worker,
  };
}

type Failed = Pick<TaskRun, "errorType" | "errorMessage" | "errorStack" | "errorCode" | "errorFingerprint">;

function failed(error: RecordedError | undefined): Failed | undefined {
  if (error === undefined) return undefined;
  return {
    errorType: error.type,
    errorMessage: error.message,
    errorStack: error.stack ?? null,
    errorCode: error.code ?? null,
    errorFingerprint: error.fingerprint,
  };
}
