import type { Command } from "commander";
import { listQueues } from "../../../streams/lane.ts";
import { type Cli, example } from "../command.ts";
import { findRunId } from "../find-run.ts";
import { type CliLedger, withLedger } from "../ledger.ts";
import { instantOption, listOption, queuesOption } from "../options.ts";
import type { Terminal } from "../terminal.ts";
import { counted } from "../words.ts";

interface Options {
  readonly queue?: readonly string[];
  readonly from?: number;
  readonly until?: number;
  readonly task?: readonly string[];
  readonly type?: readonly string[];
  readonly run?: string | undefined;
  readonly gzip?: boolean;
  readonly zstd?: boolean;
}

/** `tasktrail export [FILE]`: the ledger as NDJSON. */
export function exportLedger(command: Command, { terminal }: Cli): void {
  command
    .argument("[file]", "where to; .gz and .zst are packed. Default: stdout")
    .option("--queue <name>", "of these queues alone", queuesOption)
    .option("--from <time>", "entries not before: 2h (ago), or an instant", instantOption)
    .option("--until <time>", "and not after", instantOption)
    .option("--task <name>", "the events of these tasks alone", listOption)
    .option("--type <type>", "the events of these types alone", listOption)
    .option("--run <id>", "the events of this run alone, with its input: mind what is in it")
    .option("--gzip", "packs what goes to stdout")
    .option("--zstd", "the same, smaller")
    .action((file: string | undefined, options: Options) =>
      withLedger(terminal, (opened) => write(file, options, { terminal, ...opened })),
    );
  example(command, "export ledger.ndjson.zst --from 1d", "export --run c2a4f8bd9076 > run.ndjson");
}

async function write(
  file: string | undefined,
  options: Options,
  { terminal, server, pool, source }: CliLedger & { readonly terminal: Terminal },
): Promise<void> {
  const { EXPORT_FORMAT, openExport, packingOf, toExported } = await import("../../../projections/export-format.ts");
  const { readPages } = await import("../../../projections/read-lane.ts");
  const { redis, namespace } = server;
  const run = options.run === undefined ? undefined : await findRunId(options.run, { server, pool });
  const isWanted = (event: unknown) => isOneOf(event as AskedFor | null, { ...options, run });
  const isWhole = run === undefined && options.task === undefined && options.type === undefined;
  const queues = options.queue ?? (await listQueues(redis, namespace));
  const packing =
    file !== undefined ? packingOf(file) : options.zstd === true ? "zstd" : options.gzip === true ? "gzip" : "none";
  const sink = openExport(file ?? process.stdout, packing);
  await sink.write({
    tasktrail: "ledger",
    format: EXPORT_FORMAT,
    namespace,
    exportedAt: Date.now(),
    isWhole,
  });
  const told = { entries: 0, events: 0 };
  for (const queue of queues) {
    for await (const { incarnation, entries } of readPages(source, {
      queue,
      fromMs: options.from,
      untilMs: options.until,
    })) {
      if (entries.length === 0) break; // the end, as it is now
      for (const entry of entries) {
        const exported = toExported(queue, incarnation, entry);
        const events = isWhole || !Array.isArray(exported.events) ? exported.events : exported.events.filter(isWanted);
        if (!isWhole && (!Array.isArray(events) || events.length === 0)) continue;
        await sink.write({ ...exported, events });
        told.entries += 1;
        told.events += Array.isArray(events) ? events.length : 0;
      }
    }
  }
  await sink.end();
  terminal.note(
    `${counted(told.events, "event")} in ${counted(told.entries, "entry", "entries")} of ${counted(queues.length, "queue")} written.`,
  );
}

type AskedFor = { readonly run?: unknown; readonly task?: unknown; readonly type?: unknown };

function isOneOf(event: AskedFor | null, { run, task, type }: Pick<Options, "run" | "task" | "type">): boolean {
  if (event === null || (run !== undefined && event.run !== run)) return false;
  if (task !== undefined && !task.includes(String(event.task))) return false;
  return type === undefined || type.includes(String(event.type));
}
