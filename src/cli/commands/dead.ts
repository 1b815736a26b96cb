import type { Command } from "commander";
import { type DeadLetter, inputOf } from "../../deliver/dead-letters.ts";
import { type Cli, example } from "../command.ts";
import { type DeadWanted, findDead, findOneDead } from "../dead-runs.ts";
import { jsonOption, positiveCount, queuesOption } from "../options.ts";
import { type RedriveOptions, redriveDead } from "../redrive.ts";
import { connectRedis } from "../servers.ts";
import type { Column } from "../table.ts";
import type { Terminal } from "../terminal.ts";
import { clean, cleanLines } from "../text.ts";
import { localTime, relativeWords } from "../words.ts";

/** `tasktrail dead list|show|redrive`: runs that died. */
export function dead(command: Command, { terminal }: Cli): void {
  example(command, "dead list", "dead redrive --task send_welcome_email --yes");
  const list = command.command("list").description("Lists dead runs, the latest first.");
  list
    .option("--task <name>", "of this task alone")
    .option("--queue <name>", "of these queues alone", queuesOption)
    .option("-n, --limit <count>", "how many", positiveCount, 20)
    .action((options: DeadWanted & { readonly json?: boolean }) => showList(options, terminal));
  example(jsonOption(list), "dead list --task send_welcome_email --json");
  const show = command.command("show").description("Shows one dead run: its error with the stack, and its input.");
  show
    .argument("<run>", "the run's id, or its end")
    .action((run: string, { json }: { json?: boolean }) => showOne(run, json === true, terminal));
  example(jsonOption(show), "dead show 01a20722-a4d2-7505-aeb9-c2a4f8bd9076");
  const redrive = command
    .command("redrive")
    .description("Runs dead runs again, each as a new run that is linked to the old one.");
  redrive
    .argument("[runs...]", "their ids, or the ends of them")
    .option("--task <name>", "all of this task")
    .option("--queue <name>", "all of these queues", queuesOption)
    .option("--all", "all of them")
    .option("--yes", "does not ask")
    .action((runs: readonly string[], options: RedriveOptions) => redriveDead(runs, options, terminal));
  example(jsonOption(redrive), "dead redrive c2a4f8bd9076", "dead redrive --all --yes");
}

async function showList(
  { json, ...wanted }: DeadWanted & { readonly json?: boolean },
  terminal: Terminal,
): Promise<void> {
  using server = await connectRedis(terminal.env);
  const found = await findDead(server, wanted);
  if (json === true) for (const one of found) terminal.json(asJson(one));
  else if (found.length === 0) terminal.note(`No dead run lies in namespace "${server.namespace}".`);
  else terminal.table(found, columnsFor(terminal));
}

function columnsFor({ style }: Terminal): Column<DeadLetter>[] {
  const now = Date.now();
  return [
    { title: "run", value: ({ run }) => run, least: 9, cut: "start", style: (cell) => style("dim", cell) },
    { title: "task", value: ({ task }) => task, least: 10 },
    { title: "died", value: ({ diedAt }) => relativeWords(diedAt.getTime(), now) },
    { title: "tries", value: ({ attempt }) => attempt, align: "right" },
    { title: "reason", value: ({ reason }) => reason, style: (cell) => style("red", cell), least: 6 },
    { title: "error", value: errorOf, least: 5 },
  ];
}

async function showOne(text: string, isJson: boolean, terminal: Terminal): Promise<void> {
  using server = await connectRedis(terminal.env);
  const one = await findOneDead(server, text);
  if (isJson) return terminal.json(asJson(one));
  const { line, style } = terminal;
  const facts = {
    run: one.run,
    task: clean(one.task),
    queue: clean(one.queue),
    died: localTime(one.diedAt.getTime()),
    reason: style("red", clean(one.reason)),
    tries: String(one.attempt),
    input: clean(inputOf(one)) || "none",
    error: cleanLines(one.error?.stack ?? errorOf(one) ?? "none was recorded").replaceAll("\n", `\n${" ".repeat(8)}`),
  };
  for (const [name, value] of Object.entries(facts)) line(`${style("dim", name.padEnd(6))}  ${value}`);
  terminal.note(terminal.noteStyle("dim", `Run it again: tasktrail dead redrive ${one.run}`));
}

function errorOf({ error }: DeadLetter): string | undefined {
  return error === undefined ? undefined : `${error.type}: ${error.message}`;
}

function asJson(dead: DeadLetter): object {
  const { id: _id, meta: _meta, body: _body, diedAt, ...rest } = dead;
  return { ...rest, diedAt: diedAt.getTime(), input: parsed(inputOf(dead)) };
}

function parsed(json: string): unknown {
  try {
    return json === "" ? undefined : (JSON.parse(json) as unknown);
  } catch {
    return json; // it may be why the run died
  }
}
