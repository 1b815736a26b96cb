import { sql } from "slonik";
import { changed, type Session } from "../statement.ts";

/**
 * Deletes what was done before so long ago, at most so much at a time, but for the runs that have not ended by the tables: those may be
 * delivered again. Gives how much that was.
 */
export function deleteOldDone(
  session: Session,
  { keepMs, limit }: { readonly keepMs: number; readonly limit: number },
): Promise<number> {
  return changed(
    session,
    sql.unsafe`
      delete from tasktrail_inbox where run in (
        select run from tasktrail_inbox done
        where done_at < now() - ${keepMs} * interval '1 ms'
          and not exists (select from task_runs where task_runs.id = done.run and task_runs.ended_at is null)
        limit ${limit}
      )`,
  );
}
