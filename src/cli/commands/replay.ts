import type { Command } from "commander";
import type { ReplayOptions } from "../../../projections/catch-up.ts";
import { type Cli, example } from "../command.ts";
import { EXIT } from "../exit-codes.ts";
import { CliError } from "../failure.ts";
import { instantOption, listOption, queuesOption } from "../options.ts";
import { outcomeWords, printDifferences } from "../replay/outcome.ts";
import { tellProgress } from "../replay/progress.ts";
import { replayProjection } from "../replay/projection.ts";
import { traced } from "../replay/traced.ts";
import { traces } from "../replay/traces.ts";

interface Options {
  readonly verify?: boolean;
  readonly dryRun?: boolean;
  readonly from?: number;
  readonly until?: number;
  readonly into?: string;
  readonly task?: readonly string[];
  readonly queue?: readonly string[];
  readonly json?: boolean;
}

/** `tasktrail replay NAME`: a table, folded again from its history; `tasktrail replay traces`: spans from it. */
export function replay(command: Command, cli: Cli): void {
  command
    .description(
      `${command.summary()}\nThe history is folded beside the table while that is served and kept up to date; then, in one transaction, the table is made what came of it.\nIt stays the same table: views, grants and foreign keys live on. A replay that was ended is gone on with.`,
    )
    .argument("[name]", "the projection: task_runs, cron_job_runs, or one of the application's")
    .option(
      "--verify",
      "changes nothing: says which rows differ, and which event explains each; exit code 1 when some do",
    )
    .option("--dry-run", "changes nothing: says how many rows would change")
    .option("--from <time>", "rows that began at this time or later: 2d (ago), or an instant", instantOption)
    .option("--until <time>", "the past: as it was at this time, into a table of its own", instantOption)
    .option("--into <table>", "the name of that table; default: the projection's, with the time")
    .option("--task <name>", "rows of these tasks alone", listOption)
    .option("--queue <name>", "rows of these queues alone", queuesOption)
    .option("--app <path>", "the application, for a projection of its own: path[#export]")
    .option("--json", "prints what came of it as JSON, each difference on a line of its own")
    .action(async (name: string | undefined, options: Options & { readonly app?: string }) => {
      if (name === undefined)
        throw new CliError(EXIT.usage, "Which projection is to be replayed?", {
          advice: "Name it: tasktrail replay task_runs",
        });
      await run(name, options, cli);
    });
  example(
    command,
    "replay cron_job_runs --verify",
    "replay task_runs",
    "replay task_runs --until 2031-05-04T12:00:00Z",
    "replay traces --from 2h",
  );
  traces(command, cli);
}

async function run(
  name: string,
  options: Options & { readonly app?: string },
  { terminal, outcome }: Cli,
): Promise<void> {
  const mode = modeOf(options);
  const wanted: ReplayOptions = {
    mode,
    fromMs: options.from,
    untilMs: options.until,
    into: options.into ?? (mode === "keep" ? nameOfPast(name, options.until) : undefined),
    tasks: options.task,
    queues: options.queue,
    onProgress: tellProgress(name, terminal),
  };
  const replayed = await traced({ terminal, projection: name, mode }, () =>
    replayProjection(name, { terminal, app: options.app }, wanted),
  );
  const { differences, ...counts } = replayed;
  if (options.json === true) {
    for (const difference of differences) terminal.json(difference);
    terminal.json({ projection: name, mode, ...counts });
  } else if (mode === "keep")
    terminal.line(
      `${counts.events.toLocaleString("en")} events folded into ${options.into ?? nameOfPast(name, options.until)}.`,
    );
  else {
    printDifferences(differences, terminal);
    terminal.line(outcomeWords(replayed, mode === "apply"));
  }
  if (counts.parked > 0)
    terminal.note(
      `${counts.parked} keys are still parked: the fold cannot take their events, and their rows stand where they stood.`,
    );
  if (mode === "verify" && counts.insert + counts.update + counts.delete > 0) outcome.exitCode = EXIT.failed;
}

function modeOf({ verify, dryRun, until, into, from, task }: Options): ReplayOptions["mode"] {
  const refuse = (message: string, advice: string) => new CliError(EXIT.usage, message, { advice });
  if (until === undefined && into !== undefined)
    throw refuse(
      "--into is for --until.",
      "The table of a projection is made by the projector; give --until for one of the past.",
    );
  if (until !== undefined && (verify === true || dryRun === true || from !== undefined || task !== undefined))
    throw refuse(
      "--until makes a table of its own, and goes with --into and --queue alone.",
      "Leave --verify, --dry-run, --from and --task away.",
    );
  if (verify === true && dryRun === true)
    throw refuse("--verify and --dry-run are two.", "--verify lists what --dry-run counts.");
  if (until !== undefined) return "keep";
  return verify === true ? "verify" : dryRun === true ? "count" : "apply";
}

function nameOfPast(name: string, until: number | undefined): string {
  return `${name}_until_${new Date(until ?? 0)
    .toISOString()
    .replace(/\.\d+Z$/, "z")
    .replace(/\W/g, "")
    .toLowerCase()}`;
}
