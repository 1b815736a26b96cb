import type { Command } from "commander";
import type { LedgerSource } from "../../../projections/read-lane.ts";
import { isKnown, type LedgerEvent } from "../../../streams/events.ts";
import { listQueues } from "../../../streams/lane.ts";
import { databaseSource } from "../../config.ts";
import { type Cli, example } from "../command.ts";
import { EXIT } from "../exit-codes.ts";
import { CliError } from "../failure.ts";
import { instantOption, queuesOption } from "../options.ts";
import { connectRedis } from "../servers.ts";
import type { Terminal } from "../terminal.ts";

/** Spans in one request to the collector. */
const BATCH = 500;

interface Options {
  readonly from: number;
  readonly until?: number;
  readonly queue?: readonly string[];
  readonly json?: boolean;
}

/** `tasktrail replay traces`: spans from history, for a collector that was down, or was not there yet. */
export function traces(command: Command, { terminal }: Cli): void {
  const declared = command
    .command("traces")
    .description(
      "Makes spans of the events of a time, from the archive and from Redis, and sends them to OTEL_EXPORTER_OTLP_ENDPOINT.\nThey have the ids they had, or would have had. A store that has them already may show them twice.",
    )
    .requiredOption("--from <time>", "events not before: 2h (ago), or an instant", instantOption)
    .option("--until <time>", "and not after; default: now", instantOption)
    .option("--queue <name>", "of these queues alone", queuesOption)
    .option("--json", "prints the spans, one JSON document a line, and sends nothing")
    .action((options: Options) => replayTraces(options, terminal));
  example(
    declared,
    "replay traces --from 2h",
    "replay traces --from 2031-05-04T12:00:00Z --until 2031-05-04T13:00:00Z",
  );
}

async function replayTraces(options: Options, terminal: Terminal): Promise<void> {
  const { tracesEndpoint, sendRebuilt } = await import("../../../otel/send-rebuilt.ts");
  const endpoint = tracesEndpoint(terminal.env);
  if (endpoint === undefined && options.json !== true) throw noCollector();
  using server = await connectRedis(terminal.env);
  await using database = await openDatabase(terminal);
  const source: LedgerSource = { namespace: server.namespace, redis: server.redis, pool: database?.pool };
  const queues = options.queue ?? (await listQueues(server.redis, server.namespace));
  const told = { spans: 0, open: 0 };
  const send = async (batch: Parameters<typeof sendRebuilt>[0]) => {
    told.spans += batch.length;
    if (options.json === true) batch.forEach(terminal.json);
    else if (endpoint !== undefined) await sendRebuilt(batch, endpoint, terminal.env).catch(refused);
  };
  for (const queue of queues) told.open += await replayQueue(source, { ...options, queue }, send);
  const open = told.open === 0 ? "" : `; ${told.open} attempts had not ended by then, and have none`;
  terminal.note(`${told.spans} spans ${options.json === true ? "made" : `sent to ${endpoint}`}${open}.`);
}

type Stretch = Omit<Options, "queue"> & { readonly queue: string };
type Rebuilt = Parameters<typeof import("../../../otel/send-rebuilt.ts").sendRebuilt>[0];

async function replayQueue(
  source: LedgerSource,
  { queue, from, until }: Stretch,
  send: (batch: Rebuilt) => Promise<void>,
): Promise<number> {
  const { createRebuilder } = await import("../../../otel/rebuild.ts");
  const { readLedger } = await import("../../../projections/read-ledger.ts");
  const rebuilder = createRebuilder();
  let batch: Rebuilt[number][] = [];
  for await (const event of readLedger(source, { queues: [queue], from, until })) {
    if (!isKnown(event.type)) continue;
    batch.push(...rebuilder.take(event as LedgerEvent));
    if (batch.length < BATCH) continue;
    await send(batch);
    batch = [];
  }
  if (batch.length > 0) await send(batch);
  return rebuilder.openCount();
}

/** Postgres when one is named; without it, what Redis still has. */
async function openDatabase({ env }: Terminal) {
  const url = databaseSource({}, env);
  if (typeof url !== "string") return undefined;
  const { openPool } = await import("../../../sql/pool.ts");
  const pool = await openPool(url, { size: 2, applicationName: "tasktrail-cli" });
  return { pool, [Symbol.asyncDispose]: () => pool.end() };
}

function noCollector(): CliError {
  return new CliError(EXIT.config, "No collector is named.", {
    advice: "Set OTEL_EXPORTER_OTLP_ENDPOINT, as in OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4318, or give --json.",
  });
}

function refused(cause: unknown): never {
  const { message, cause: below } = cause as Error;
  const why = below instanceof Error ? `${message}: ${below.message || (below as { code?: string }).code}` : message;
  throw new CliError(EXIT.unavailable, `The spans could not be sent: ${why}.`, { cause });
}
