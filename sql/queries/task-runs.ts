import { sql } from "slonik";
import { z } from "zod";
import { rowOf, rowsOf, type Session, statement } from "../statement.ts";
import { defineTable } from "../table.ts";

const text = z.string().nullable();
const instant = z.number().nullable();
const ms = z.number().nullable();

/** Where a run is in its life, in the words of `status()`. */
export const taskRunStatus = z.enum([
  "scheduled",
  "waiting",
  "running",
  "retrying",
  "succeeded",
  "died",
  "cancelled",
  "skipped",
  "lost",
]);

/** Where a run is in its life. */
export type TaskRunStatus = z.infer<typeof taskRunStatus>;

/** A row of `task_runs`. Instants are milliseconds since 1970 on Redis' clock. */
export const taskRun = z.object({
  id: z.string(),
  queue: z.string(),
  taskName: z.string(),
  status: taskRunStatus,
  attempts: z.number(),
  redeliveries: z.number(),
  deferrals: z.number(),
  enqueuedAt: instant,
  dueAt: instant,
  expiresAt: instant,
  startedAt: instant,
  lastStartedAt: instant,
  endedAt: instant,
  cancelRequestedAt: instant,
  waitedMs: ms,
  durationMs: ms,
  worker: text,
  reason: text,
  errorType: text,
  errorMessage: text,
  errorStack: text,
  errorCode: text,
  errorFingerprint: text,
  key: text,
  labels: z.record(z.string(), z.string()).nullable(),
  taskVersion: z.number().nullable(),
  schedule: text,
  slot: instant,
  trigger: text,
  parent: text,
  root: text,
  redriveOf: text,
  redrivenAs: text,
  traceId: text,
  positions: z.string(),
});

/** A row of `task_runs`. */
export type TaskRun = Readonly<z.infer<typeof taskRun>>;

/** The table `task_runs`. */
export const taskRunsTable = defineTable<TaskRun>({
  name: "task_runs",
  key: "id",
  scope: "everywhere",
  begun: ["enqueuedAt", "startedAt", "endedAt"],
  columns: {
    id: "uuid",
    queue: "text",
    taskName: "text",
    status: "text",
    attempts: "integer",
    redeliveries: "integer",
    deferrals: "integer",
    enqueuedAt: "instant",
    dueAt: "instant",
    expiresAt: "instant",
    startedAt: "instant",
    lastStartedAt: "instant",
    endedAt: "instant",
    cancelRequestedAt: "instant",
    waitedMs: "double",
    durationMs: "double",
    worker: "text",
    reason: "text",
    errorType: "text",
    errorMessage: "text",
    errorStack: "text",
    errorCode: "text",
    errorFingerprint: "text",
    key: "text",
    labels: "json",
    taskVersion: "integer",
    schedule: "text",
    slot: "instant",
    trigger: "text",
    parent: "text",
    root: "text",
    redriveOf: "text",
    redrivenAs: "text",
    traceId: "text",
    positions: "text",
  },
});

/** What to list: each given one narrows. */
export interface TaskRunFilter {
  readonly task?: string | undefined;
  readonly queue?: string | undefined;
  readonly status?: TaskRunStatus | undefined;
  /** Enqueued before then, in ms. For the next page: `enqueuedAt` of the last row. */
  readonly before?: number | undefined;
  /** Default 50. */
  readonly limit?: number | undefined;
}

const HAVE_REASON: ReadonlySet<TaskRunStatus> = new Set(["died", "cancelled", "skipped", "lost"]);

/** The runs of a namespace, latest first. */
export function listRuns(session: Session, namespace: string, filter: TaskRunFilter = {}): Promise<TaskRun[]> {
  const conditions = ["namespace = $1"];
  const values: unknown[] = [namespace];
  const narrow = (condition: string, value: unknown) => {
    if (value === undefined) return;
    values.push(value);
    conditions.push(`${condition} $${values.length}`);
  };
  narrow("task_name =", filter.task);
  narrow("queue =", filter.queue);
  narrow("status =", filter.status);
  if (filter.status !== undefined && HAVE_REASON.has(filter.status)) conditions.push("reason is not null"); // for the index's sake
  narrow("enqueued_at < 'epoch'::timestamptz + interval '1 ms' *", filter.before);
  values.push(filter.limit ?? 50);
  return rowsOf(
    session,
    taskRun,
    statement(
      `select ${taskRunsTable.selection} from task_runs where ${conditions.join(" and ")}
       order by enqueued_at desc nulls last, id desc limit $${values.length}`,
      values,
    ),
  );
}

/** One run's row; undefined when it is not projected (yet). */
export function findRun(session: Session, namespace: string, id: string): Promise<TaskRun | undefined> {
  return rowOf(
    session,
    taskRun,
    statement(`select ${taskRunsTable.selection} from task_runs where id = $1 and namespace = $2`, [id, namespace]),
  );
}

const statusCount = z.object({ status: taskRunStatus, count: z.number() });

/** How many runs of a namespace are in each status; of one task, when it is named. */
export async function countByStatus(
  session: Session,
  namespace: string,
  task?: string,
): Promise<Partial<Record<TaskRunStatus, number>>> {
  const rows = await rowsOf(
    session,
    statusCount,
    sql.unsafe`
      select status, count(*)::double precision as count from task_runs
      where namespace = ${namespace} and (${task ?? null}::text is null or task_name = ${task ?? null})
      group by status order by status`,
  );
  return Object.fromEntries(rows.map(({ status, count }) => [status, count]));
}
