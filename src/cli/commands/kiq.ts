import type { Command } from "commander";
import type { DispatchOptions } from "../../define/dispatch.ts";
import type { Duration } from "../../define/duration.ts";
import { nearest } from "../../define/spelling.ts";
import { type Cli, example } from "../command.ts";
import { EXIT } from "../exit-codes.ts";
import { CliError } from "../failure.ts";
import { readInput } from "../json-input.ts";
import { loadApplication } from "../load.ts";
import { durationText } from "../options.ts";
import type { Terminal } from "../terminal.ts";
import { toldRun, waitFor } from "../wait.ts";

interface Options {
  readonly key?: string;
  readonly delay?: Duration;
  readonly queue?: string;
  readonly wait?: Duration | true;
  readonly json?: boolean;
}

/** `tasktrail kiq APP TASK [JSON]`: dispatches a run by hand. */
export function kiq(command: Command, { terminal }: Cli): void {
  command
    .argument("<app>", "the module that exports the broker: path[#export]")
    .argument("<task>", "the task's name")
    .argument("[json]", "its input: JSON, @file, or - for stdin")
    .option("--key <key>", "idempotency key: a second run with it is not made")
    .option("--delay <duration>", "not before that long from now, as in 10m", durationText)
    .option("--queue <name>", "to this queue instead of the task's own")
    .option("--wait [duration]", "waits for the end, 30s unless told otherwise, and prints the result", durationText)
    .option("--json", "prints one JSON document")
    .action((app: string, task: string, json: string | undefined, options: Options) =>
      dispatch({ app, task, json }, options, terminal),
    );
  example(
    command,
    `kiq ./tasks.ts send_welcome_email '{"userId":"abc123"}' --wait`,
    "kiq ./tasks.ts process_upload @upload.json",
  );
}

interface Asked {
  readonly app: string;
  readonly task: string;
  readonly json: string | undefined;
}

async function dispatch(asked: Asked, options: Options, terminal: Terminal): Promise<void> {
  const input = readInput(asked.json, terminal.cwd);
  const { broker, engine } = await loadApplication({ app: asked.app, cwd: terminal.cwd });
  await using _closing = broker;
  const record = engine.task(asked.task);
  if (record === undefined)
    throw unknownTask(
      asked,
      engine.records.map(({ name }) => name),
    );
  const { key, delay, queue, wait } = options;
  const given: DispatchOptions = { key, delay, queue };
  const [handle] = await engine.port.send(record, [input], given);
  if (handle === undefined) throw new CliError(EXIT.internal, "The dispatch gave no run.");
  if (wait === undefined) return toldRun(handle, options, terminal);
  await waitFor(handle, { timeout: wait === true ? undefined : wait, isJson: options.json === true }, terminal);
}

function unknownTask({ app, task }: Asked, names: readonly string[]): CliError {
  const meant = nearest(task, names);
  const listed = [...new Set(names)].sort().join(", ");
  return new CliError(
    EXIT.failed,
    `${app} declares no task "${task}"${meant === undefined ? "" : `. Did you mean "${meant}"?`}`,
    {
      advice: listed === "" ? "It declares none at all." : `Its tasks: ${listed}`,
    },
  );
}
