import type { Command } from "commander";
import { type CronJobRun, lastPerSchedule, listCronRuns } from "../../../sql/queries/cron-job-runs.ts";
import { localTime, openZone } from "../../define/zone.ts";
import { type Cli, example } from "../command.ts";
import { addControls } from "../cron-controls.ts";
import { withDatabase } from "../database.ts";
import { jsonOption, positiveCount } from "../options.ts";
import { slotStyle } from "../run-words.ts";
import { readScheduleViews, type ScheduleView } from "../schedules.ts";
import { connectLocks, connectRedis, namespaceOf } from "../servers.ts";
import type { Column } from "../table.ts";
import type { Terminal } from "../terminal.ts";
import { clean, fit } from "../text.ts";
import { counted, lengthWords, localTime as machineTime, relativeWords } from "../words.ts";

/** `tasktrail crons`: the schedules; `crons history NAME`: what became of the slots of one; and what steers them. */
export function crons(command: Command, { terminal }: Cli): void {
  command.action(({ json }: { json?: boolean }) => showSchedules(json === true, terminal));
  jsonOption(command);
  example(command, "crons", "crons history sync_external_data");
  const history = command
    .command("history")
    .description("Shows what became of each slot of a schedule, skipped and missed ones included.");
  history
    .argument("<name>", "the schedule's name")
    .option("-n, --limit <count>", "how many, the latest ones", positiveCount, 20)
    // With what `crons` itself was given: of two that know --json, the outer one takes it.
    .action((name: string, _: HistoryOptions, own: Command) => showHistory(name, own.optsWithGlobals(), terminal));
  example(jsonOption(history), "crons history sync_external_data --limit 5");
  addControls(command, terminal);
}

async function showSchedules(isJson: boolean, terminal: Terminal): Promise<void> {
  using server = await connectRedis(terminal.env);
  const { namespace } = server;
  const rows = terminal.env.DATABASE_URL?.trim()
    ? await withDatabase(terminal.env, "", (pool) => lastPerSchedule(pool, namespace))
    : [];
  using locks = await connectLocks(terminal.env);
  const views = await readScheduleViews(server, rows, locks?.servers);
  if (locks !== undefined && locks.awayCount > locks.servers.length / 2)
    terminal.note(
      `Who holds locks is not known: ${locks.awayCount} of ${locks.servers.length} servers of TASKTRAIL_LOCKS do not answer.`,
    );
  if (isJson) for (const view of views) terminal.json(asJson(view));
  else if (views.length === 0)
    terminal.note(
      `There is no schedule in namespace "${namespace}" yet. A scheduler declares those of cron(): tasktrail scheduler APP`,
    );
  else for (const view of views) describe(view, terminal);
}

function asJson({ definition, ...view }: ScheduleView): object {
  const { content, pausedAt } = definition;
  return { ...view, ...content, pausedAt, isPaused: pausedAt !== undefined };
}

function describe(view: ScheduleView, terminal: Terminal): void {
  const { style, line } = terminal;
  const { expression, timezone, task } = view.definition.content;
  const isNamedOtherwise = task !== view.schedule;
  line(
    [
      style("bold", clean(view.schedule)),
      ...(isNamedOtherwise ? [`task ${clean(task)}`] : []),
      expression,
      timezone,
      style("dim", view.words),
    ].join("  "),
  );
  const facts = [
    ["last", lastWords(view, terminal)],
    ["next", nextWords(view)],
    ["lock", view.lockHolder === undefined ? undefined : `held by run ${clean(view.lockHolder)}`],
    ["state", stateWords(view, terminal)],
  ] as const;
  for (const [name, value] of facts) {
    if (value !== undefined)
      line(
        `  ${style("dim", name.padEnd(5))}  ${terminal.columns === undefined ? value : fit(value, terminal.columns - 9)}`,
      );
  }
  line();
}

function lastWords({ last, lastSlot, firedCount, definition }: ScheduleView, _terminal: Terminal): string {
  const at = last?.scheduledFor ?? lastSlot;
  if (at == null) return "no slot yet";
  const when = `${zoneTime(at, definition.content.timezone)} (${relativeWords(at, Date.now())})`;
  if (last === undefined) return `${when}, fired ${counted(firedCount, "time")}; what became of it is in Postgres`;
  return [
    `${when}  ${last.status}`,
    last.durationMs === null ? "" : `took ${lengthWords(last.durationMs)}`,
    whyOf(last),
  ]
    .filter((part) => part !== "")
    .join(", ");
}

function nextWords({ next, definition }: ScheduleView): string {
  const [first] = next;
  if (first === undefined && definition.pausedAt !== undefined) return "none while it is paused";
  if (first === undefined) return definition.leavingTo === undefined ? "none: it has ended" : "none on its way";
  const now = Date.now();
  return `${zoneTime(first, definition.content.timezone)} (${next.map((slot) => relativeWords(slot, now)).join(", ")})`;
}

function stateWords({ definition, isDeclared, seenAt }: ScheduleView, { style }: Terminal): string | undefined {
  if (definition.pausedAt !== undefined) return style("yellow", `paused since ${machineTime(definition.pausedAt)}`);
  if (definition.leavingTo !== undefined)
    return style("yellow", `on its way to queue ${clean(definition.leavingTo)}: schedulers bring it there`);
  if (isDeclared || definition.source !== "declared") return undefined;
  const since = seenAt === undefined ? "" : ` for ${lengthWords(Date.now() - seenAt)}`;
  return style("yellow", `no scheduler has it in its code${since}: it does not fire`);
}

interface HistoryOptions {
  readonly limit: number;
  readonly json?: boolean;
}

async function showHistory(name: string, { limit, json }: HistoryOptions, terminal: Terminal): Promise<void> {
  const namespace = namespaceOf(terminal.env);
  const found = await withDatabase(
    terminal.env,
    "What became of slots is in the table cron_job_runs in Postgres",
    (pool) => listCronRuns(pool, namespace, { schedule: name, limit }),
  );
  if (json === true) for (const one of found) terminal.json(one);
  else if (found.length === 0)
    terminal.note(
      `No slot of "${name}" is recorded in namespace "${namespace}". \`tasktrail crons\` lists the schedules.`,
    );
  else terminal.table(found, columnsFor(terminal));
}

function columnsFor({ style }: Terminal): Column<CronJobRun>[] {
  const now = Date.now();
  return [
    {
      title: "slot",
      value: (row) =>
        row.scheduledFor === null ? "" : (row.scheduledLocal ?? zoneTime(row.scheduledFor, row.timezone ?? "UTC")),
    },
    { title: "ago", value: (row) => (row.scheduledFor === null ? "" : relativeWords(row.scheduledFor, now)) },
    { title: "status", value: (row) => row.status, style: (cell, row) => style(slotStyle(row.status), cell) },
    { title: "why", value: (row) => (row.trigger === "schedule" ? "on time" : (row.trigger ?? "")) },
    { title: "late", value: (row) => (row.lateMs === null ? "" : lengthWords(row.lateMs)), align: "right" },
    { title: "took", value: (row) => (row.durationMs === null ? "" : lengthWords(row.durationMs)), align: "right" },
    { title: "run", value: (row) => row.runId ?? "", least: 9, cut: "start", style: (cell) => style("dim", cell) },
    { title: "reason", value: whyOf, least: 6 },
  ];
}

function whyOf(row: CronJobRun): string {
  const missed = row.missedCount === null ? "" : counted(row.missedCount, "slot");
  const holder = row.holder === null ? "" : `held by ${row.holder}`;
  const error = row.status === "success" || row.errorMessage === null ? "" : `${row.errorType}: ${row.errorMessage}`;
  return [row.reason ?? "", missed, holder, error].filter((part) => part !== "").join(", ");
}

/** An instant as clocks in a zone show it. */
function zoneTime(at: number, timezone: string): string {
  return localTime(openZone(timezone), at);
}
