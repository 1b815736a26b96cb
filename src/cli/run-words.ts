import type { CronRunStatus } from "../../sql/queries/cron-job-runs.ts";
import type { TaskRun, TaskRunStatus } from "../../sql/queries/task-runs.ts";
import type { Style } from "./terminal.ts";

/** The colour of a run's status. */
export function runStyle(status: TaskRunStatus): Style {
  if (status === "succeeded") return "green";
  if (status === "died" || status === "lost") return "red";
  if (status === "running") return "cyan";
  return status === "waiting" || status === "scheduled" ? "dim" : "yellow";
}

/** The colour of what became of a slot. */
export function slotStyle(status: CronRunStatus): Style {
  if (status === "success") return "green";
  if (status === "failure") return "red";
  return status === "running" || status === "waiting" ? "cyan" : "yellow";
}

/** A run as `--json` prints it: instants in ms since 1970; without the positions, which only the archive can read. */
export function runJson({ positions: _positions, ...run }: TaskRun): object {
  return run;
}
