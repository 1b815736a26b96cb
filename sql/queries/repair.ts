import { z } from "zod";
import { rowsOf, type Session, statement } from "../statement.ts";

const liveRun = z.object({ id: z.string(), positions: z.string() });

/** A run that has not ended, with where its events are. */
export type LiveRun = Readonly<z.infer<typeof liveRun>>;

/** Which of them. */
export interface LiveRunPage {
  readonly namespace: string;
  /** Default: those of every queue. */
  readonly queue?: string | undefined;
  /** Those with ids after this one. */
  readonly after: string;
  readonly limit: number;
}

/** The id before the first one. */
export const FIRST_ID = "00000000-0000-0000-0000-000000000000";

/** Runs that have not ended, by id. Reads through the table: no index knows the status. */
export function findLiveRuns(session: Session, page: LiveRunPage): Promise<LiveRun[]> {
  return rowsOf(
    session,
    liveRun,
    statement(
      `select id::text as id, positions from task_runs
       where namespace = $1 and ($2::text is null or queue = $2) and id > $3::uuid
         and status in ('scheduled', 'waiting', 'running', 'retrying')
       order by task_runs.id limit $4`,
      [page.namespace, page.queue ?? null, page.after, page.limit],
    ),
  );
}

const endedRun = z.object({
  id: z.string(),
  taskName: z.string(),
  status: z.string(),
  reason: z.string().nullable(),
  errorType: z.string().nullable(),
  errorMessage: z.string().nullable(),
  errorStack: z.string().nullable(),
  errorCode: z.string().nullable(),
  errorFingerprint: z.string().nullable(),
});

/** A run that has ended, and how. */
export type EndedRun = Readonly<z.infer<typeof endedRun>>;

/** Those of some runs that have ended. */
export function findEnded(session: Session, namespace: string, ids: readonly string[]): Promise<EndedRun[]> {
  return rowsOf(
    session,
    endedRun,
    statement(
      `select id::text as id, task_name as "taskName", status, reason, error_type as "errorType", error_message as "errorMessage",
         error_stack as "errorStack", error_code as "errorCode", error_fingerprint as "errorFingerprint"
       from task_runs
       where id = any($2::uuid[]) and namespace = $1 and status not in ('scheduled', 'waiting', 'running', 'retrying')`,
      [namespace, ids],
    ),
  );
}

/** One of some runs that is known in another namespace; undefined when none is. */
export async function findForeignRun(
  session: Session,
  namespace: string,
  ids: readonly string[],
): Promise<{ readonly id: string; readonly namespace: string } | undefined> {
  const rows = await rowsOf(
    session,
    z.object({ id: z.string(), namespace: z.string() }),
    statement(
      "select id::text as id, namespace from task_runs where id = any($2::uuid[]) and namespace <> $1 limit 1",
      [namespace, ids],
    ),
  );
  return rows[0];
}

const pastSlots = z.object({
  schedule: z.string(),
  last: z.number(),
  fired: z
    .number()
    .nullable()
    .transform((fired) => fired ?? undefined),
  firedCount: z.number(),
});

/** How far each schedule of a queue had come, by `cron_job_runs`. Slots that were fired by hand, or filled in afterwards, move no schedule on. In ms. */
export function findPastSlots(session: Session, namespace: string, queue: string) {
  return rowsOf(
    session,
    pastSlots,
    statement(
      `select schedule, max(round(date_part('epoch', coalesce(missed_until, scheduled_for)) * 1000)) as last,
         max(round(date_part('epoch', scheduled_for) * 1000)) filter (where run_id is not null) as fired,
         count(*) filter (where run_id is not null)::double precision as "firedCount"
       from cron_job_runs
       where namespace = $1 and queue = $2 and scheduled_for is not null and coalesce(trigger, 'schedule') in ('schedule', 'catch_up')
       group by schedule order by schedule`,
      [namespace, queue],
    ),
  );
}
