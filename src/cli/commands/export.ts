import type { Command } from "commander";
import type { LedgerSource } from "../../../projections/read-lane.ts";
import { listQueues } from "../../../streams/lane.ts";
import { databaseSource } from "../../config.ts";
import { type Cli, example } from "../command.ts";
import { withDatabase } from "../database.ts";
import { findRunId } from "../find-run.ts";
import { instantOption, queuesOption } from "../options.ts";
import { connectRedis, type OpenRedis } from "../servers.ts";
import type { Terminal } from "../terminal.ts";
import { counted } from "../words.ts";

interface Options {
  readonly queue?: readonly string[];
  readonly from?: number;
  readonly until?: number;
  readonly run?: string;
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
    .option("--run <id>", "the events of this run alone, with its input: mind what is in it")
    .option("--gzip", "packs what goes to stdout")
    .option("--zstd", "the same, smaller")
    .action((file: string | undefined, options: Options) => write(file, options, terminal));
  example(command, "export ledger.ndjson.zst --from 1d", "export --run c2a4f8bd9076 > run.ndjson");
}

async function write(file: string | undefined, options: Options, terminal: Terminal): Promise<void> {
  using server = await connectRedis(terminal.env);
  if (typeof databaseSource({}, terminal.env) !== "string") return writeFrom(file, options, { terminal, server });
  await withDatabase(terminal.env, "", (pool) => writeFrom(file, options, { terminal, server, pool }));
}

interface From {
  readonly terminal: Terminal;
  readonly server: OpenRedis;
  readonly pool?: Parameters<Parameters<typeof withDatabase>[2]>[0];
}

async function writeFrom(file: string | undefined, options: Options, { terminal, server, pool }: From): Promise<void> {
  const { EXPORT_FORMAT, openExport, packingOf, toExported } = await import("../../../projections/export-format.ts");
  const { readPages } = await import("../../../projections/read-lane.ts");
  const { redis, namespace } = server;
  const source: LedgerSource = { namespace, redis, pool };
  const run = options.run === undefined ? undefined : await findRunId(options.run, { server, pool });
  const queues = options.queue ?? (await listQueues(redis, namespace));
  const packing =
    file !== undefined ? packingOf(file) : options.zstd === true ? "zstd" : options.gzip === true ? "gzip" : "none";
  const sink = openExport(file ?? process.stdout, packing);
  await sink.write({
    tasktrail: "ledger",
    format: EXPORT_FORMAT,
    namespace,
    exportedAt: Date.now(),
    isWhole: run === undefined,
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
        const events = run === undefined ? exported.events : eventsOf(run, exported.events);
        if (Array.isArray(events) && events.length === 0 && run !== undefined) continue;
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

function eventsOf(run: string, events: unknown): unknown[] {
  return Array.isArray(events) ? events.filter((event) => (event as { run?: unknown } | null)?.run === run) : [];
}
