import type { Command } from "commander";
import { migrate as applyPending, pendingMigrations, readMigrations } from "../../../sql/migrate.ts";
import { type Cli, example } from "../command.ts";
import { withDatabase } from "../database.ts";
import { jsonOption } from "../options.ts";
import type { Terminal } from "../terminal.ts";
import { counted } from "../words.ts";

interface Options {
  readonly status?: boolean;
  readonly json?: boolean;
}

const NEED = "Migrations make the tables in Postgres";

/** `tasktrail migrate`: makes and updates the tables. */
export function migrate(command: Command, { terminal }: Cli): void {
  command
    .option("--status", "says which migrations are applied and which are pending, and changes nothing")
    .action((options: Options) => (options.status === true ? status(options, terminal) : apply(options, terminal)));
  jsonOption(command);
  example(command, "migrate", "migrate --status");
}

async function apply({ json }: Options, terminal: Terminal): Promise<void> {
  const applied = await withDatabase(terminal.env, NEED, (pool) => applyPending(pool));
  for (const { name } of applied) {
    if (json === true) terminal.json({ migration: name, status: "applied" });
    else terminal.line(`applied ${name}`);
  }
  if (json !== true)
    terminal.note(
      applied.length === 0 ? "The schema is up to date." : `${counted(applied.length, "migration")} applied.`,
    );
}

async function status({ json }: Options, terminal: Terminal): Promise<void> {
  const pending = new Set(
    (await withDatabase(terminal.env, NEED, (pool) => pendingMigrations(pool))).map(({ name }) => name),
  );
  const all = (await readMigrations()).map(({ name }) => ({
    migration: name,
    status: pending.has(name) ? "pending" : "applied",
  }));
  if (json === true) for (const one of all) terminal.json(one);
  else {
    terminal.table(all, [
      { title: "migration", value: (one) => one.migration, least: 12 },
      {
        title: "status",
        value: (one) => one.status,
        style: (cell, one) => terminal.style(one.status === "pending" ? "yellow" : "green", cell),
      },
    ]);
  }
}
