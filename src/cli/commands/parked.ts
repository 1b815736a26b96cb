import type { Command } from "commander";
import type { DatabasePool } from "slonik";
import type { AnyProjection } from "../../../projections/projection.ts";
import type { ParkedKey } from "../../../sql/queries/parked.ts";
import type { Engine } from "../../engine.ts";
import { type Cli, example } from "../command.ts";
import { withDatabase } from "../database.ts";
import { EXIT } from "../exit-codes.ts";
import { CliError } from "../failure.ts";
import { loadApplication } from "../load.ts";
import { jsonOption, positiveCount } from "../options.ts";
import { namespaceOf } from "../servers.ts";
import type { Column } from "../table.ts";
import type { Terminal } from "../terminal.ts";
import { clean } from "../text.ts";
import { counted, relativeWords } from "../words.ts";

const NEED = "Parked keys are kept in Postgres";

interface Choice {
  readonly projection?: string;
  readonly all?: boolean;
  readonly app?: string;
  readonly json?: boolean;
}

/** `tasktrail parked list|retry|discard`: keys whose event a projection could not take. */
export function parked(command: Command, { terminal }: Cli): void {
  example(command, "parked list", "parked retry --all", "parked discard 01a20722-a4d2-7505-aeb9-c2a4f8bd9076");
  const list = command
    .command("list")
    .description("Lists parked keys, each with the event and the error, latest first.");
  list
    .option("--projection <name>", "of this projection alone")
    .option("-n, --limit <count>", "how many", positiveCount, 50)
    .action((options: Choice & { readonly limit: number }) => showList(options, terminal));
  example(jsonOption(list), "parked list --json");
  const retry = command
    .command("retry")
    .description(
      "Folds keys again from the archive, from the refused event on, and takes them back. For when the fold was mended.",
    );
  addChoice(retry).action((keys: readonly string[], options: Choice) =>
    refold(keys, options, { terminal, isSkipping: false }),
  );
  example(retry, "parked retry 01a20722-a4d2-7505-aeb9-c2a4f8bd9076", "parked retry --all");
  const discard = command
    .command("discard")
    .description("Gives the refused events up, for good, and takes the keys back with what came after them.");
  addChoice(discard).action((keys: readonly string[], options: Choice) =>
    refold(keys, options, { terminal, isSkipping: true }),
  );
  example(discard, "parked discard 01a20722-a4d2-7505-aeb9-c2a4f8bd9076 --projection task_runs");
}

function addChoice(command: Command): Command {
  command
    .argument("[keys...]", "as they are listed")
    .option("--projection <name>", "of this projection alone")
    .option("--all", "all of them")
    .option("--app <path>", "the application, for keys of a projection of its own: path[#export]");
  return jsonOption(command);
}

async function showList(
  { projection, limit, json }: Choice & { readonly limit: number },
  terminal: Terminal,
): Promise<void> {
  const found = await withDatabase(terminal.env, NEED, (pool) => findParked(pool, terminal, projection));
  const shown = found.slice(0, limit);
  if (json === true) shown.forEach(terminal.json);
  else if (shown.length === 0) terminal.note(`No key is parked in namespace "${namespaceOf(terminal.env)}".`);
  else terminal.table(shown, columnsFor(terminal));
}

async function findParked(pool: DatabasePool, { env }: Terminal, projection: string | undefined): Promise<ParkedKey[]> {
  const { listParked } = await import("../../../sql/queries/parked.ts");
  const found = await listParked(pool, namespaceOf(env));
  return projection === undefined ? found : found.filter((one) => one.projection === projection);
}

function columnsFor({ style }: Terminal): Column<ParkedKey>[] {
  const now = Date.now();
  return [
    { title: "projection", value: ({ projection }) => clean(projection), least: 8 },
    { title: "key", value: ({ key }) => clean(key), least: 9, style: (cell) => style("dim", cell) },
    { title: "parked", value: ({ parkedAt }) => relativeWords(parkedAt, now) },
    { title: "event", value: ({ eventType }) => clean(eventType), least: 8 },
    {
      title: "error",
      value: ({ errorType, errorMessage }) => clean(`${errorType}: ${errorMessage}`),
      style: (cell) => style("red", cell),
      least: 10,
    },
  ];
}

async function refold(
  keys: readonly string[],
  { projection, all, app, json }: Choice,
  { terminal, isSkipping }: { readonly terminal: Terminal; readonly isSkipping: boolean },
): Promise<void> {
  if (keys.length === 0 && all !== true) {
    throw new CliError(EXIT.usage, "No key is named.", {
      advice: "Name keys as `tasktrail parked list` shows them, or give --all.",
    });
  }
  await withDatabase(terminal.env, NEED, async (pool) => {
    const own = app === undefined ? [] : (await loadApplication({ app, cwd: terminal.cwd })).engine.projections;
    const found = await findParked(pool, terminal, projection);
    const chosen = all === true ? found : found.filter(({ key }) => keys.includes(key));
    const missing = all === true ? [] : keys.filter((key) => !chosen.some((one) => one.key === key));
    if (missing.length > 0) throw new CliError(EXIT.failed, `Not parked: ${missing.join(", ")}.`);
    for (const one of chosen) {
      const told = await refoldOne(pool, one, { isSkipping, own });
      if (json === true) terminal.json({ projection: one.projection, key: one.key, ...told });
      else
        terminal.line(
          `${clean(one.key)}  ${told.outcome === "folded" ? counted(told.eventCount, "event") : `still parked: ${clean(told.error)}`}`,
        );
    }
    if (json !== true) terminal.note(`${counted(chosen.length, "key")} done.`);
  });
}

async function refoldOne(
  pool: DatabasePool,
  parked: ParkedKey,
  { isSkipping, own }: { readonly isSkipping: boolean; readonly own: Engine["projections"] },
) {
  const { LEDGER } = await import("../../../projections/lane-deps.ts");
  const { refoldKey } = await import("../../../projections/refold.ts");
  const projection = await openProjection(pool, parked.projection, own);
  const checkpoint = "view" in projection ? projection.name : LEDGER;
  const told = await refoldKey(pool, projection, { parked, isSkipping }, checkpoint);
  return told.outcome === "folded" ? told : { outcome: told.outcome, error: String(told.error) };
}

/** The projection that parked a key: one that comes with the engine, or the very version of one of the application's. Throws CliError. */
async function openProjection(pool: DatabasePool, name: string, own: Engine["projections"]): Promise<AnyProjection> {
  const { projections } = await import("../../../projections/all.ts");
  const { openOwn } = await import("../../../projections/own.ts");
  const shipped = projections.find((one) => one.name === name);
  const definition = own.find((one) => `${one.name}@${one.version}` === name);
  if (shipped !== undefined) return shipped;
  if (definition !== undefined) return openOwn(pool, definition);
  throw new CliError(EXIT.failed, `The projection "${name}" does not come with the engine, and is not known here.`, {
    advice: "Name the application that has this version of it: --app ./tasks.ts",
  });
}
