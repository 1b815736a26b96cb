import type { Command } from "commander";
import { isKeyPart } from "../../../streams/keys.ts";
import { type Cli, example } from "../command.ts";
import { withDatabase } from "../database.ts";
import { EXIT } from "../exit-codes.ts";
import { CliError } from "../failure.ts";
import { jsonOption } from "../options.ts";
import type { Terminal } from "../terminal.ts";
import { counted } from "../words.ts";

interface Options {
  readonly into: string;
  readonly json?: boolean;
}

/** `tasktrail import FILE --into NAMESPACE`: an exported ledger, into archive and tables of a namespace of its own. */
export function importInto(command: Command, { terminal }: Cli): void {
  command
    .argument("<file>", "what `tasktrail export` wrote; .gz and .zst are unpacked. - for stdin, unpacked")
    .requiredOption("--into <namespace>", "a namespace that has no history yet")
    .action((file: string, options: Options) => read(file, options, terminal));
  jsonOption(command);
  example(command, "import ledger.ndjson.zst --into incident_17", "runs --namespace incident_17");
}

async function read(file: string, { into, json }: Options, terminal: Terminal): Promise<void> {
  if (!isKeyPart(into)) throw new CliError(EXIT.usage, `"${into}" cannot be the name of a namespace.`);
  const { ExportUnreadable, packingOf, readExport } = await import("../../../projections/export-format.ts");
  const { ImportRefused, importLedger } = await import("../../../projections/import-ledger.ts");
  const { migrate } = await import("../../../sql/migrate.ts");
  try {
    const { head, entries } = await readExport(file === "-" ? process.stdin : file, packingOf(file));
    const done = await withDatabase(terminal.env, "A ledger is imported into Postgres", async (pool) => {
      await migrate(pool);
      return importLedger(pool, into, entries);
    });
    if (json === true) return terminal.json({ from: head.namespace, into, ...done });
    const { queues, entryCount, eventCount, parkedCount } = done;
    terminal.note(
      `${counted(eventCount, "event")} in ${counted(entryCount, "entry", "entries")} of ${queues.join(", ") || "no queue"} are in the archive and the tables of namespace "${into}".`,
    );
    if (parkedCount > 0)
      terminal.note(`${counted(parkedCount, "key")} could not be folded: tasktrail parked list --namespace ${into}`);
    if (!head.isWhole) terminal.note("It is a part of a ledger: rows of other runs are missing.");
  } catch (error) {
    if (error instanceof ImportRefused) throw new CliError(EXIT.failed, error.message);
    if (error instanceof ExportUnreadable)
      throw new CliError(EXIT.failed, `${file} cannot be imported: ${error.message}.`);
    throw error;
  }
}
