import { type Command, InvalidArgumentError } from "commander";
import type { RebuiltSpan } from "../../../otel/rebuilt-span.ts";
import { reasonOf } from "../../../otel/send-rebuilt.ts";
import type { LedgerSource } from "../../../projections/read-lane.ts";
import { isRunId } from "../../../streams/ids.ts";
import { databaseSource } from "../../config.ts";
import { type Cli, example } from "../command.ts";
import { EXIT } from "../exit-codes.ts";
import { CliError } from "../failure.ts";
import { instantOption, listOption, queuesOption } from "../options.ts";
import { connectRedis } from "../servers.ts";
import type { Terminal } from "../terminal.ts";

/** Spans in one request to the collector. */
const BATCH = 500;
/** How often it is told how far it is, in ms. */
const TELL_EVERY_MS = 1_000;

interface Options {
  readonly from?: number;
  readonly until?: number;
  readonly queue?: readonly string[];
  readonly task?: readonly string[];
  readonly run?: string;
  readonly follow?: boolean;
  readonly json?: boolean;
}

/** `tasktrail replay traces`: spans from history, for a collector that was down, or was not there yet. */
export function traces(command: Command, { terminal }: Cli): void {
  const declared = command
    .command("traces")
    .description(
      "Makes spans of the events of a time, from the archive and from Redis, and sends them to OTEL_EXPORTER_OTLP_ENDPOINT.\nThey have the ids they had, or would have had. A store that has them already may show them twice.",
    )
    .option("--from <time>", "events not before: 2h (ago), or an instant; not needed with --run", instantOption)
    .option("--until <time>", "and not after; default: now", instantOption)
    .option("--queue <name>", "of these queues alone", queuesOption)
    .option("--task <name>", "of these tasks alone", listOption)
    .option("--run <id>", "of this run alone", runOption)
    .option("-f, --follow", "goes on with what is recorded from now on, until Ctrl-C; the next one goes on from there")
    .option("--json", "prints the spans, one JSON document a line, and sends nothing")
    // What both commands have, such as --from, the outer one has taken.
    .action((_own: Options) => replayTraces(declared.optsWithGlobals(), terminal));
  example(
    declared,
    "replay traces --from 2h",
    "replay traces --follow",
    "replay traces --from 2031-05-04T12:00:00Z --until 2031-05-04T13:00:00Z --task book_order",
  );
}

async function replayTraces(options: Options, terminal: Terminal): Promise<void> {
  if (options.follow === true) return await follow(options, terminal);
  if (options.from === undefined && options.run === undefined) throw noBeginning();
  const { tracesEndpoint, sendRebuilt } = await import("../../../otel/send-rebuilt.ts");
  const { rebuildTraces } = await import("./rebuild-traces.ts");
  const endpoint = tracesEndpoint(terminal.env);
  if (endpoint === undefined && options.json !== true) throw noCollector();
  using server = await connectRedis(terminal.env);
  await using database = await openDatabase(terminal);
  const source: LedgerSource = { namespace: server.namespace, redis: server.redis, pool: database?.pool };
  const { from, until, run, queue, task } = options;
  const send = async (batch: readonly RebuiltSpan[], sinceMs: number) => {
    if (options.json === true) batch.forEach(terminal.json);
    else if (endpoint !== undefined)
      await sendRebuilt(batch, endpoint, terminal.env).catch((error) => refused(error, sinceMs));
  };
  const progress = { spans: 0, events: 0 };
  const telling = terminal.isInteractive ? setInterval(() => terminal.note(words(progress)), TELL_EVERY_MS) : undefined;
  try {
    const query = { from, until, run, queues: queue, tasks: task, batch: BATCH };
    const { open } = await rebuildTraces(source, query, { send, progress });
    const rest = open === 0 ? "" : `; ${open} attempts had not ended by then, and have none`;
    terminal.note(`${progress.spans} spans ${options.json === true ? "made" : `sent to ${endpoint}`}${rest}.`);
  } finally {
    clearInterval(telling);
  }
}

async function follow({ from, until, run, queue, task, json }: Options, terminal: Terminal): Promise<void> {
  if (until !== undefined || run !== undefined || json !== undefined)
    throw new CliError(EXIT.usage, "--follow has no end, and sends what it makes.", {
      advice: "Leave --until, --run and --json away.",
    });
  const { tracesEndpoint } = await import("../../../otel/send-rebuilt.ts");
  const endpoint = tracesEndpoint(terminal.env);
  if (endpoint === undefined) throw noCollector();
  const { followTraces } = await import("./follow-traces.ts");
  await followTraces({ terminal, endpoint, query: { from, queues: queue, tasks: task, batch: BATCH } });
}

function words({ spans, events }: { readonly spans: number; readonly events: number }): string {
  return `traces: ${events.toLocaleString("en")} events read, ${spans.toLocaleString("en")} spans made`;
}

/** Postgres when one is named; without it, what Redis still has. */
async function openDatabase({ env }: Terminal) {
  const url = databaseSource({}, env);
  if (typeof url !== "string") return undefined;
  const { openPool } = await import("../../../sql/pool.ts");
  const pool = await openPool(url, { size: 2, applicationName: "tasktrail-cli" });
  return { pool, [Symbol.asyncDispose]: () => pool.end() };
}

function runOption(text: string): string {
  if (!isRunId(text)) throw new InvalidArgumentError("It is the whole id of a run, as `tasktrail runs` lists it.");
  return text;
}

function noBeginning(): CliError {
  return new CliError(EXIT.usage, "From when on?", {
    advice: "Give --from, as in --from 2h, or the --run it is about.",
  });
}

function noCollector(): CliError {
  return new CliError(EXIT.config, "No collector is named.", {
    advice: "Set OTEL_EXPORTER_OTLP_ENDPOINT, as in OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4318, or give --json.",
  });
}

function refused(cause: unknown, sinceMs: number): never {
  const advice = `What ended before was sent: go on with --from ${new Date(sinceMs).toISOString()}`;
  throw new CliError(EXIT.unavailable, `The spans could not be sent: ${reasonOf(cause)}.`, { cause, advice });
}
