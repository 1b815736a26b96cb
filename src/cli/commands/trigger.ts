import type { Command } from "commander";
import { createBroker } from "../../broker.ts";
import type { Duration } from "../../define/duration.ts";
import { didYouMean } from "../../define/spelling.ts";
import type { TaskRecord } from "../../define/task.ts";
import { type Engine, engineOf } from "../../engine.ts";
import { type Cli, example } from "../command.ts";
import { EXIT } from "../exit-codes.ts";
import { CliError } from "../failure.ts";
import { loadApplication } from "../load.ts";
import { durationText } from "../options.ts";
import { readScheduleViews, type ScheduleView } from "../schedules.ts";
import { connectRedis } from "../servers.ts";
import type { Terminal } from "../terminal.ts";
import { toldRun, waitFor } from "../wait.ts";

interface Options {
  readonly app?: string;
  readonly wait?: Duration | true;
  readonly json?: boolean;
}

/** `tasktrail trigger NAME`: fires a cron now. */
export function trigger(command: Command, { terminal }: Cli): void {
  command
    .argument("<name>", "the schedule's name")
    .option("--app <app>", "finds it in this module; otherwise it is what schedulers have declared in Redis")
    .option("--wait [duration]", "waits for the end, 30s unless told otherwise, and prints the result", durationText)
    .option("--json", "prints one JSON document")
    .action((name: string, options: Options) => fire(name, options, terminal));
  example(command, "trigger sync_external_data", "trigger sync_external_data --wait 2m");
}

async function fire(name: string, options: Options, terminal: Terminal): Promise<void> {
  const { app, wait, json } = options;
  const broker = app === undefined ? createBroker() : (await loadApplication({ app, cwd: terminal.cwd })).broker;
  await using _closing = broker;
  const engine = engineOf(broker);
  const record = app === undefined ? await declaredRecord(name, terminal) : ownRecord(name, app, engine);
  const handle = await engine.port.trigger(record);
  if (wait === undefined) return toldRun(handle, { json }, terminal);
  await waitFor(handle, { timeout: wait === true ? undefined : wait, isJson: json === true }, terminal);
}

function ownRecord(name: string, app: string, { task, records }: Engine): TaskRecord {
  const record = task(name);
  if (record?.cron !== undefined) return record;
  throw unknown(
    name,
    app,
    records.filter(({ cron }) => cron !== undefined).map((one) => one.name),
  );
}

/** The task of a schedule, as far as firing it needs to know it: a worker has the rest. */
async function declaredRecord(name: string, terminal: Terminal): Promise<TaskRecord> {
  using server = await connectRedis(terminal.env);
  const views = await readScheduleViews(server, []);
  const view = views.find(({ schedule }) => schedule === name);
  if (view !== undefined) return recordOf(view);
  throw unknown(
    name,
    `namespace "${server.namespace}"`,
    views.map(({ schedule }) => schedule),
  );
}

function recordOf({ definition: { content }, queue }: ScheduleView): TaskRecord {
  return {
    name: content.task,
    queue,
    version: 1,
    input: undefined,
    output: undefined,
    deps: {},
    policies: {},
    run: undefined,
    cron: content,
    declaredAt: "Redis",
  };
}

function unknown(name: string, where: string, names: readonly string[]): CliError {
  const advice =
    names.length === 0 ? "No schedule is known there: has a scheduler run yet?" : `Schedules: ${names.join(", ")}`;
  return new CliError(EXIT.failed, `There is no schedule "${name}" in ${where}${didYouMean(name, names)}`, { advice });
}
