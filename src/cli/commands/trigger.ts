import type { Command } from "commander";
import type { TaskRecord } from "../../define/task.ts";
import { type Engine, engineOf } from "../../engine.ts";
import { type Cli, example } from "../command.ts";
import { type TriggerOptions, toldOrWaited, triggerByName, unknownSchedule } from "../cron-controls.ts";
import { loadApplication } from "../load.ts";
import { durationText } from "../options.ts";
import type { Terminal } from "../terminal.ts";

interface Options extends TriggerOptions {
  readonly app?: string;
}

/** `tasktrail trigger NAME`: fires a cron now. */
export function trigger(command: Command, { terminal }: Cli): void {
  command
    .argument("<name>", "the schedule's name")
    .option("--app <app>", "finds it in this module; otherwise it is what Redis keeps")
    .option("--wait [duration]", "waits for the end, 30s unless told otherwise, and prints the result", durationText)
    .option("--json", "prints one JSON document")
    .action((name: string, { app, ...options }: Options) =>
      app === undefined ? triggerByName(name, options, terminal) : triggerOf(app, { name, ...options }, terminal),
    );
  example(command, "trigger sync_external_data", "trigger sync_external_data --wait 2m");
}

async function triggerOf(
  app: string,
  { name, ...options }: TriggerOptions & { readonly name: string },
  terminal: Terminal,
): Promise<void> {
  const { broker } = await loadApplication({ app, cwd: terminal.cwd });
  await using _closing = broker;
  const engine = engineOf(broker);
  await toldOrWaited(await engine.port.trigger(ownRecord(name, app, engine)), options, terminal);
}

function ownRecord(name: string, app: string, { task, records }: Engine): TaskRecord {
  const record = task(name);
  if (record?.cron !== undefined) return record;
  const crons = records.filter(({ cron }) => cron !== undefined);
  throw unknownSchedule(
    name,
    app,
    crons.map((one) => one.name),
  );
}
