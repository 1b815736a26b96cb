import { sql } from "slonik";
import { z } from "zod";
import { rowsOf, type Session, statement } from "../statement.ts";
import { defineTable } from "../table.ts";

const text = z.string().nullable();
const instant = z.number().nullable();
const ms = z.number().nullable();

/** What became of a slot. `waiting`: fired, not started yet. `missed`: never fired. */
export const cronRunStatus = z.enum([
  "waiting",
  "running",
  "retrying",
  "success",
  "failure",
  "cancelled",
  "skipped",
  "missed",
]);

/** What became of a slot. */
export type CronRunStatus = z.infer<typeof cronRunStatus>;

/** A row of `cron_job_runs`. Instants are milliseconds since 1970 on Redis' clock. */
export const cronJobRun = z.object({
  id: z.string(),
  queue: z.string(),
  schedule: z.string(),
  taskName: z.string(),
  runId: text,
  scheduledFor: instant,
  timezone: text,
  scheduledLocal: text,
  trigger: z.enum(["schedule", "catch_up", "backfill", "manual"]).nullable(),
  status: cronRunStatus,
  firedAt: instant,
  startedAt: instant,
  endedAt: instant,
  lateMs: ms,
  waitedMs: ms,
  durationMs: ms,
  attempts: z.number(),
  redeliveries: z.number(),
  worker: text,
  reason: text,
  holder: text,
  missedUntil: instant,
  missedCount: z.number().nullable(),
  isMissedCountLeast: z.boolean().nullable(),
  errorType: text,
  errorMessage: text,
  errorStack: text,
  traceId: text,
});

/** A row of `cron_job_runs`. */
export type CronJobRun = Readonly<z.infer<typeof cronJobRun>>;

/** The table `cron_job_runs`. */
export const cronJobRunsTable = defineTable<CronJobRun>({
  name: "cron_job_runs",
  key: "id",
  scope: "namespace",
  begun: ["firedAt", "startedAt", "scheduledFor"],
  columns: {
    id: "text",
    queue: "text",
    schedule: "text",
    taskName: "text",
    runId: "uuid",
    scheduledFor: "instant",
    timezone: "text",
    scheduledLocal: "text",
    trigger: "text",
    status: "text",
    firedAt: "instant",
    startedAt: "instant",
    endedAt: "instant",
    lateMs: "double",
    waitedMs: "double",
    durationMs: "double",
    attempts: "integer",
    redeliveries: "integer",
    worker: "text",
    reason: "text",
    holder: "text",
    missedUntil: "instant",
    missedCount: "integer",
    isMissedCountLeast: "boolean",
    errorType: "text",
    errorMessage: "text",
    errorStack: "text",
    traceId: "text",
  },
});

/** The slots of a namespace's schedules, latest first; of one task, when it is named. Default limit: 50. */
export function listCronRuns(
  session: Session,
  namespace: string,
  { task, limit = 50 }: { readonly task?: string | undefined; readonly limit?: number | undefined } = {},
): Promise<CronJobRun[]> {
  const values = task === undefined ? [namespace, limit] : [namespace, limit, task];
  return rowsOf(
    session,
    cronJobRun,
    statement(
      `select ${cronJobRunsTable.selection} from cron_job_runs where namespace = $1
       ${task === undefined ? "" : "and task_name = $3"} order by scheduled_for desc nulls last, id desc limit $2`,
      values,
    ),
  );
}

/** The latest slot of each schedule of a namespace, by schedule. */
export function lastPerSchedule(session: Session, namespace: string): Promise<CronJobRun[]> {
  return rowsOf(
    session,
    cronJobRun,
    statement(
      `select distinct on (queue, schedule) ${cronJobRunsTable.selection} from cron_job_runs where namespace = $1
       order by queue, schedule, scheduled_for desc nulls last, id desc`,
      [namespace],
    ),
  );
}

const cronStatusCount = z.object({ status: cronRunStatus, count: z.number() });

/** How many slots of a namespace have each status. */
export async function countCronByStatus(
  session: Session,
  namespace: string,
): Promise<Partial<Record<CronRunStatus, number>>> {
  const rows = await rowsOf(
    session,
    cronStatusCount,
    sql.unsafe`
      select status, count(*)::double precision as count from cron_job_runs
      where namespace = ${namespace} group by status order by status`,
  );
  return Object.fromEntries(rows.map(({ status, count }) => [status, count]));
}
