import type { Command } from "commander";
import type { DatabasePool } from "slonik";
import { readRun } from "../../../projections/history.ts";
import type { AnyEvent } from "../../../projections/read-lane.ts";
import { findRun, type TaskRun } from "../../../sql/queries/task-runs.ts";
import { listQueues } from "../../../streams/lane.ts";
import { stateAfter } from "../../../streams/run.ts";
import { type Cli, example } from "../command.ts";
import { withDatabase } from "../database.ts";
import { printEvents } from "../event-lines.ts";
import { findRunId, unknownRun } from "../find-run.ts";
import { jsonOption } from "../options.ts";
import { runJson, runStyle } from "../run-words.ts";
import { connectRedis, type OpenRedis } from "../servers.ts";
import type { Terminal } from "../terminal.ts";
import { clean, cleanLines } from "../text.ts";
import { lengthWords, localTime } from "../words.ts";

/** `tasktrail run ID`: one run, with its life from the ledger. */
export function run(command: Command, { terminal }: Cli): void {
  command
    .argument("<id>", "the run's id, or its end")
    .action((id: string, options: { readonly json?: boolean }) => show(id, options.json === true, terminal));
  jsonOption(command);
  example(command, "run 01a20722-a4d2-7505-aeb9-c2a4f8bd9076", "run c2a4f8bd9076 --json");
}

/** What there is to know of a run. */
interface Life {
  readonly id: string;
  /** Its row, once it is projected. */
  readonly row: TaskRun | undefined;
  readonly events: readonly AnyEvent[];
}

async function show(text: string, isJson: boolean, terminal: Terminal): Promise<void> {
  using server = await connectRedis(terminal.env);
  const life = terminal.env.DATABASE_URL?.trim()
    ? await withDatabase(terminal.env, "", (pool) => readLife(text, server, pool))
    : await readLife(text, server);
  if (isJson) {
    const { id, row, events } = life;
    return terminal.json({ id, status: statusOf(life), ...(row === undefined ? {} : runJson(row)), events });
  }
  describe(life, terminal);
  terminal.line();
  printEvents(life.events, terminal, { isLive: false, isOneRun: true });
}

async function readLife(text: string, server: OpenRedis, pool?: DatabasePool): Promise<Life> {
  const { redis, namespace } = server;
  const id = await findRunId(text, { server, pool });
  const row = pool === undefined ? undefined : await findRun(pool, namespace, id);
  const events = await readRun({ namespace, redis, pool }, id, await listQueues(redis, namespace));
  if (row === undefined && events.length === 0) throw unknownRun(id, { server, pool });
  return { id, row, events };
}

function statusOf({ row, events }: Life): string {
  // The ledger is ahead of the row by what the projector has not read yet.
  return events.length === 0 ? (row?.status ?? "unknown") : stateAfter(events);
}

function describe(life: Life, { line, style }: Terminal): void {
  const { id, row, events } = life;
  const status = statusOf(life);
  const [first] = events as readonly Readonly<Record<string, unknown>>[];
  const task = row?.taskName ?? first?.task;
  const facts: readonly (readonly [string, string | undefined])[] = [
    ["run", id],
    ["task", typeof task === "string" ? clean(task) : undefined],
    ["status", style(runStyle(status as TaskRun["status"]), status)],
    ["queue", row?.queue ?? (typeof first?.queue === "string" ? clean(first.queue) : undefined)],
    ["schedule", row?.schedule == null ? undefined : `${clean(row.schedule)}, slot ${time(row.slot)}`],
    ["enqueued", time(row?.enqueuedAt)],
    ["started", time(row?.startedAt)],
    ["ended", time(row?.endedAt)],
    ["took", row?.durationMs == null ? undefined : lengthWords(row.durationMs)],
    ["attempts", row === undefined ? undefined : attemptsOf(row)],
    ["worker", row?.worker == null ? undefined : clean(row.worker)],
    ["reason", row?.reason == null ? undefined : clean(row.reason)],
    ["key", row?.key == null ? undefined : clean(row.key)],
    ["redrive of", row?.redriveOf ?? undefined],
    ["redriven as", row?.redrivenAs ?? undefined],
    ["trace", row?.traceId ?? undefined],
    ["input", inputOf(first)],
  ];
  for (const [name, value] of facts) if (value !== undefined) line(`${style("dim", name.padEnd(11))}  ${value}`);
  const error = errorOf(life);
  if (error !== undefined)
    line(
      `${style("dim", "error".padEnd(11))}  ${style("red", cleanLines(error).replaceAll("\n", `\n${" ".repeat(13)}`))}`,
    );
}

function attemptsOf({ attempts, redeliveries, deferrals }: TaskRun): string {
  const more = [redeliveries > 0 ? `${redeliveries} redelivered` : "", deferrals > 0 ? `${deferrals} put off` : ""];
  return [String(attempts), ...more.filter((part) => part !== "")].join(", ");
}

function inputOf(first: Readonly<Record<string, unknown>> | undefined): string | undefined {
  const input = first?.input;
  return input === undefined ? undefined : clean(JSON.stringify(input));
}

/** The latest error: its stack where there is one. */
function errorOf({ row, events }: Life): string | undefined {
  const last = events.findLast((event) => "error" in event && event.error !== undefined) as
    | { readonly error: { readonly type: string; readonly message: string; readonly stack?: string } }
    | undefined;
  if (last !== undefined) return last.error.stack ?? `${last.error.type}: ${last.error.message}`;
  return row?.errorMessage == null ? undefined : (row.errorStack ?? `${row.errorType}: ${row.errorMessage}`);
}

function time(at: number | null | undefined): string | undefined {
  return at == null ? undefined : localTime(at);
}
