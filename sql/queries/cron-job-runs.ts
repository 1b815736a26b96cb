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

/** Which slots are wanted: of a task or of a schedule, not both. */
export interface CronRunsWanted {
  readonly task?: string | undefined;
  readonly schedule?: string | undefined;
  readonly limit?: number | undefined;
}

/** The slots of a namespace's schedules, latest first; of one task or one schedule, when it is named. Default limit: 50. */
export function listCronRuns(
  session: Session,
  namespace: string,
  { task, schedule, limit = 50 }: CronRunsWanted = {},
): Promise<CronJobRun[]> {
  const values = [namespace, limit, ...[task ?? schedule].filter((one) => one !== undefined)];
  const column = task === undefined ? "schedule" : "task_name";
  return rowsOf(
    session,
    cronJobRun,
    statement(
      `select ${cronJobRunsTable.selection} from cron_job_runs where namespace = $1
       ${values.length === 2 ? "" : `and ${column} = $3`} order by scheduled_for desc nulls last, id desc limit $2`,
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

const lockTimes = z.object({
  queue: z.string(),
  schedule: z.string(),
  runCount: z.number(),
  overCount: z.number(),
  longestMs: z.number(),
  usualMs: z.number(),
});

/** How long the runs of a schedule have really taken, against its lock. In ms. */
export type LockTimes = z.infer<typeof lockTimes>;

/** The schedules of a namespace of whose latest hundred runs some took longer than their overlap lock lives. `usualMs` is what nineteen of twenty stay below. */
export function findOverrunning(
  session: Session,
  namespace: string,
  locks: readonly { readonly queue: string; readonly schedule: string; readonly lockTtlMs: number }[],
): Promise<LockTimes[]> {
  return rowsOf(
    session,
    lockTimes,
    statement(
      `select lock.queue, lock.schedule,
         count(*)::double precision as "runCount",
         (count(*) filter (where run.duration_ms > lock.ttl_ms))::double precision as "overCount",
         max(run.duration_ms) as "longestMs",
         percentile_disc(0.95) within group (order by run.duration_ms) as "usualMs"
       from unnest($2::text[], $3::text[], $4::double precision[]) as lock (queue, schedule, ttl_ms)
       cross join lateral (
         select duration_ms from cron_job_runs
         where namespace = $1 and queue = lock.queue and schedule = lock.schedule and duration_ms is not null
         order by scheduled_for desc nulls last limit 100
       ) as run
       group by lock.queue, lock.schedule
       having max(run.duration_ms) > min(lock.ttl_ms)
       order by lock.queue, lock.schedule`,
      [
        namespace,
        locks.map(({ queue }) => queue),
        locks.map(({ schedule }) => schedule),
        locks.map(({ lockTtlMs }) => lockTtlMs),
      ],
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
