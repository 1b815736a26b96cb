import type { Command } from "commander";
import { createBroker } from "../broker.ts";
import type { Duration } from "../define/duration.ts";
import type { Schedules } from "../define/schedules.ts";
import { didYouMean } from "../define/spelling.ts";
import { isTasktrailError } from "../errors.ts";
import type { RunHandle } from "../run.ts";
import { example } from "./command.ts";
import { EXIT } from "./exit-codes.ts";
import { CliError } from "./failure.ts";
import { durationText, instantOption, jsonOption } from "./options.ts";
import type { Terminal } from "./terminal.ts";
import { toldRun, waitFor } from "./wait.ts";
import { counted } from "./words.ts";

interface Json {
  readonly json?: boolean | undefined;
}

/** Adds to `tasktrail crons`, which has a --json of its own and takes theirs: `pause`, `resume`, `remove`, `trigger` and `backfill`. */
export function addControls(crons: Command, terminal: Terminal): void {
  addPlain(crons, terminal, ["pause", "Has a schedule fire nothing until it is resumed.", "paused"]);
  addPlain(crons, terminal, [
    "resume",
    "Lets a paused schedule go on; its misfire policy decides on what has passed.",
    "resumed",
  ]);
  addPlain(crons, terminal, ["remove", "Removes a schedule that no code of a running scheduler declares.", "removed"]);
  const trigger = crons.command("trigger").description("Fires a schedule now, past any pause.");
  trigger
    .argument("<name>", "the schedule's name")
    .option("--wait [duration]", "waits for the end, 30s unless told otherwise, and prints the result", durationText)
    .action((name: string, _: TriggerOptions, own: Command) => triggerByName(name, own.optsWithGlobals(), terminal));
  example(jsonOption(trigger), "crons trigger sync_external_data --wait 2m");
  const backfill = crons
    .command("backfill")
    .description("Fires the slots of a past range that did not fire, oldest first, each once.");
  backfill
    .argument("<name>", "the schedule's name")
    .requiredOption("--from <time>", "how long ago, as in 6h, or an instant; belongs to the range", instantOption)
    .option("--until <time>", "the same; now unless told otherwise", instantOption)
    .action((name: string, _: BackfillOptions, own: Command) => backfillByName(name, own.optsWithGlobals(), terminal));
  example(
    jsonOption(backfill),
    "crons backfill sync_external_data --from 2d",
    "crons backfill daily --from 2031-05-01 --until 2031-05-04",
  );
}

function addPlain(
  crons: Command,
  terminal: Terminal,
  [verb, description, done]: readonly ["pause" | "resume" | "remove", string, string],
): void {
  const command = crons.command(verb).description(description);
  command.argument("<name>", "the schedule's name").action(async (name: string, _: Json, own: Command) => {
    const { json } = own.optsWithGlobals<Json>();
    await withSchedules(name, (schedules) => schedules[verb](name));
    if (json === true) terminal.json({ schedule: name, done });
    else terminal.line(`${done} ${name}`);
  });
  example(jsonOption(command), `crons ${verb} sync_external_data`);
}

/** How a schedule is fired by hand. */
export interface TriggerOptions extends Json {
  readonly wait?: Duration | true | undefined;
}

/** Fires a schedule as Redis keeps it: no code of it is needed. */
export async function triggerByName(name: string, { wait, json }: TriggerOptions, terminal: Terminal): Promise<void> {
  await withSchedules(name, async (schedules) => {
    const handle = await schedules.trigger(name);
    await toldOrWaited(handle, { wait, json }, terminal);
  });
}

/** Says which run there is, or waits for its end. */
export async function toldOrWaited(
  handle: RunHandle<unknown>,
  { wait, json }: TriggerOptions,
  terminal: Terminal,
): Promise<void> {
  if (wait === undefined) toldRun(handle, { json }, terminal);
  else await waitFor(handle, { timeout: wait === true ? undefined : wait, isJson: json === true }, terminal);
}

interface BackfillOptions extends Json {
  readonly from: number;
  readonly until?: number;
}

async function backfillByName(name: string, { from, until, json }: BackfillOptions, terminal: Terminal): Promise<void> {
  const range = { from: new Date(from), until: new Date(until ?? Date.now()) };
  const runs = await withSchedules(name, (schedules) => schedules.backfill(name, range));
  if (json === true) for (const { id } of runs) terminal.json({ run: id });
  else if (runs.length === 0)
    terminal.note(`Every slot of "${name}" in that range has fired, or is for the schedule to decide on.`);
  else terminal.line(`${counted(runs.length, "slot")} fired, from run ${runs[0]?.id} to ${runs.at(-1)?.id}`);
}

/** Works on the schedules of a namespace; a name that there is none of is told with those that there are. */
async function withSchedules<T>(name: string, work: (schedules: Schedules) => Promise<T>): Promise<T> {
  await using broker = createBroker();
  try {
    return await work(broker.schedules);
  } catch (error) {
    if (!isTasktrailError(error, "schedule_unknown")) throw error;
    const names = (await broker.schedules.list()).map(({ id }) => id);
    throw unknownSchedule(name, `namespace "${error.details["namespace"]}"`, names);
  }
}

/** What is said of a name that no schedule has. */
export function unknownSchedule(name: string, where: string, names: readonly string[]): CliError {
  const advice =
    names.length === 0 ? "No schedule is known there: has a scheduler run yet?" : `Schedules: ${names.join(", ")}`;
  return new CliError(EXIT.failed, `There is no schedule "${name}" in ${where}${didYouMean(name, names)}`, { advice });
}
