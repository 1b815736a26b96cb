import { type CronJobRun, cronJobRunsTable } from "../sql/queries/cron-job-runs.ts";
import { type ENDINGS, isEnding, type LedgerEvent, type RecordedError } from "../streams/events.ts";
import { LEGAL } from "../streams/run.ts";
import type { Projection } from "./projection.ts";

/** One row per slot of a schedule: fired, skipped, or missed. */
export const cronJobRuns: Projection<CronJobRun> = {
  name: "cron_job_runs",
  version: 1,
  table: cronJobRunsTable,
  key,
  fold,
  isOver: ({ endedAt, status }) => endedAt !== null || status === "missed" || status === "skipped",
};

const UUID_VERSION_AT = 14;

/** Runs of a schedule have ids of version 5, made of their slot; all others would be looked up in vain. */
function key(event: LedgerEvent): string | undefined {
  if (event.type === "slot.missed" || event.type === "slot.skipped" || event.type === "slot.fired") {
    const { run } = event as { run?: string };
    return run ?? `${event.queue}/${event.schedule}/${event.slot}`;
  }
  if (!event.type.startsWith("run.") || event.type === "run.progressed") return undefined;
  const { run } = event as { run?: string };
  return run?.[UUID_VERSION_AT] === "5" ? run : undefined;
}

type SlotEvent = LedgerEvent<"slot.fired" | "slot.skipped" | "slot.missed">;

function fold(row: CronJobRun | undefined, event: LedgerEvent): CronJobRun | undefined {
  if (event.type === "slot.fired" || event.type === "slot.skipped" || event.type === "slot.missed") {
    return atSlot(row ?? blank(event, event.schedule), event);
  }
  const { schedule } = event as { schedule?: string };
  const known = row ?? (schedule === undefined || LEGAL[event.type] === undefined ? undefined : blank(event, schedule));
  if (known === undefined) return undefined; // a run of no schedule, or one whose row has aged out
  // After an ending come notes alone; what a later life of the lane says of the same run changes nothing. task_runs asserts it.
  return known.endedAt !== null && LEGAL[event.type] !== undefined ? known : advance(known, event);
}

function blank(event: LedgerEvent, schedule: string): CronJobRun {
  const { run, slot } = event as { run?: string; slot?: number };
  return {
    id: key(event) as string,
    queue: event.queue,
    schedule,
    taskName: (event as { task?: string }).task ?? "",
    runId: run ?? null,
    scheduledFor: slot ?? null,
    timezone: null,
    scheduledLocal: null,
    trigger: null,
    status: "waiting",
    firedAt: null,
    startedAt: null,
    endedAt: null,
    lateMs: null,
    waitedMs: null,
    durationMs: null,
    attempts: 0,
    redeliveries: 0,
    worker: null,
    reason: null,
    holder: null,
    missedUntil: null,
    missedCount: null,
    isMissedCountLeast: null,
    errorType: null,
    errorMessage: null,
    errorStack: null,
    traceId: event.traceId ?? null,
  };
}

function atSlot(row: CronJobRun, event: SlotEvent): CronJobRun {
  switch (event.type) {
    case "slot.fired":
      return {
        ...row,
        scheduledFor: event.slot,
        timezone: event.timezone,
        scheduledLocal: event.scheduledLocal ?? null,
        trigger: event.trigger,
        firedAt: event.at,
        lateMs: event.lateMs,
      };
    case "slot.skipped":
      return {
        ...row,
        status: "skipped",
        scheduledFor: event.slot,
        reason: event.reason,
        holder: event.holder ?? null,
      };
    case "slot.missed":
      return {
        ...row,
        status: "missed",
        reason: event.reason,
        missedUntil: event.until,
        missedCount: event.missedCount,
        isMissedCountLeast: event.isAtLeast ?? false,
      };
  }
}

function advance(row: CronJobRun, event: LedgerEvent): CronJobRun {
  if (isEnding(event.type)) return ended(row, event as RunEnding);
  switch (event.type) {
    case "run.enqueued":
      return {
        ...row,
        trigger: row.trigger ?? event.trigger ?? null,
        scheduledFor: row.scheduledFor ?? event.slot ?? null,
      };
    case "run.started":
      return {
        ...row,
        status: "running",
        attempts: Math.max(row.attempts, event.attempt),
        startedAt: row.startedAt ?? event.at,
        waitedMs: event.waitedMs ?? null,
        durationMs: null,
        worker: event.worker,
        reason: null,
      };
    case "run.failed":
      return { ...row, status: "retrying", durationMs: event.durationMs, worker: event.worker, ...failed(event.error) };
    case "run.redelivered":
    case "run.recovered":
      return { ...row, redeliveries: row.redeliveries + 1 };
    case "run.restored":
      return { ...row, status: "waiting", reason: event.reason ?? null };
    case "run.deferred":
      return { ...row, reason: event.reason };
    default:
      return row;
  }
}

type RunEnding = LedgerEvent<(typeof ENDINGS)[number]>;

function ended(row: CronJobRun, event: RunEnding): CronJobRun {
  const { worker, durationMs } = event as { worker?: string; durationMs?: number };
  const common = { ...row, endedAt: event.at, worker: worker ?? row.worker, durationMs: durationMs ?? row.durationMs };
  switch (event.type) {
    case "run.succeeded":
      return { ...common, status: "success", attempts: Math.max(row.attempts, event.attempt) };
    case "run.died":
      return {
        ...common,
        status: "failure",
        reason: event.reason,
        ...(failed(event.error) ?? unexplained(row, event.reason)),
      };
    case "run.cancelled":
      return { ...common, status: "cancelled", reason: event.reason ?? null };
    case "run.skipped":
      return { ...common, status: "skipped", reason: event.reason, holder: event.holder ?? null };
    case "run.lost":
      return { ...common, status: "failure", reason: "lost", ...unexplained(row, "lost") };
  }
}

type Failed = Pick<CronJobRun, "errorType" | "errorMessage" | "errorStack">;

function failed(error: RecordedError | undefined): Failed | undefined {
  return error && { errorType: error.type, errorMessage: error.message, errorStack: error.stack ?? null };
}

const WHY: Readonly<Record<string, string>> = {
  expired: "It had not started when it expired.",
  poison: "The process died each time it ran.",
  unknown_task: "No worker knew its task in time.",
  invalid_input: "Its input did not fit the task's schema.",
  undecodable: "Its entry could not be read.",
  attempts: "Every attempt failed.",
  lost: "Its entry was gone while a worker held it.",
};

/** A failure always says something: the attempt's error when there was one, else what it died of. */
function unexplained(row: CronJobRun, reason: string): Failed {
  if (row.errorType !== null && reason === "attempts") return row;
  return { errorType: reason, errorMessage: WHY[reason] ?? reason, errorStack: null };
}
