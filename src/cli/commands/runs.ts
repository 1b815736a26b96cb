import { type Command, Option } from "commander";
import { listRuns, type TaskRun, type TaskRunStatus, taskRunStatus } from "../../../sql/queries/task-runs.ts";
import { type Cli, example } from "../command.ts";
import { withDatabase } from "../database.ts";
import { instantOption, jsonOption, positiveCount } from "../options.ts";
import { runJson, runStyle } from "../run-words.ts";
import { namespaceOf } from "../servers.ts";
import type { Column } from "../table.ts";
import type { Terminal } from "../terminal.ts";
import { lengthWords, relativeWords } from "../words.ts";

interface Options {
  readonly task?: string;
  readonly status?: TaskRunStatus;
  readonly queue?: string;
  readonly before?: number;
  readonly limit: number;
  readonly json?: boolean;
}

/** `tasktrail runs`: the latest runs, from `task_runs`. */
export function runs(command: Command, { terminal }: Cli): void {
  command
    .option("--task <name>", "of this task alone")
    .addOption(new Option("--status <status>", "in this status alone").choices(taskRunStatus.options))
    .option("--queue <name>", "of this queue alone")
    .option("--before <time>", "enqueued before: 10m (ago), or an instant; for the next page", instantOption)
    .option("-n, --limit <count>", "how many, the latest ones", positiveCount, 20)
    .action((options: Options) => show(options, terminal));
  jsonOption(command);
  example(command, "runs --status died --limit 5", "runs --task send_welcome_email --json");
}

async function show({ json, ...filter }: Options, terminal: Terminal): Promise<void> {
  const namespace = namespaceOf(terminal.env);
  const found = await withDatabase(terminal.env, "Runs are listed from the table task_runs in Postgres", (pool) =>
    listRuns(pool, namespace, filter),
  );
  if (json === true) {
    for (const run of found) terminal.json(runJson(run));
    return;
  }
  if (found.length > 0) return terminal.table(found, columnsFor(terminal));
  terminal.note(
    `No such run in namespace "${namespace}". Runs appear here once a projector has read the ledger; \`tasktrail events\` shows what it has not read yet.`,
  );
}

function columnsFor({ style }: Terminal): Column<TaskRun>[] {
  const now = Date.now();
  return [
    { title: "run", value: (run) => run.id, least: 9, cut: "start", style: (cell) => style("dim", cell) },
    { title: "task", value: (run) => run.taskName, least: 12 },
    { title: "status", value: (run) => run.status, style: (cell, run) => style(runStyle(run.status), cell) },
    {
      title: "enqueued",
      value: (run) => (run.enqueuedAt === null ? "" : relativeWords(run.enqueuedAt, now)),
      least: 4,
    },
    { title: "took", value: (run) => (run.durationMs === null ? "" : lengthWords(run.durationMs)), align: "right" },
    { title: "tries", value: (run) => run.attempts, align: "right" },
    { title: "why", value: whyOf, least: 3 },
  ];
}

function whyOf({ reason, errorType, errorMessage, dueAt, status }: TaskRun): string {
  if (status === "scheduled" && dueAt !== null) return `due ${relativeWords(dueAt, Date.now())}`;
  if (status === "succeeded") return "";
  return [reason, errorType === null ? null : `${errorType}: ${errorMessage}`]
    .filter((part) => part !== null)
    .join(", ");
}
