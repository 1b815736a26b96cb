import type { Command } from "commander";
import type { LatestQuery } from "../../../projections/latest-events.ts";
import type { AnyEvent, LedgerSource } from "../../../projections/read-lane.ts";
import { splitId } from "../../../streams/ledger.ts";
import { type Cli, example } from "../command.ts";
import { printEvents } from "../event-lines.ts";
import { findRunId } from "../find-run.ts";
import { withLedger } from "../ledger.ts";
import { instantOption, jsonOption, listOption, positiveCount, queuesOption } from "../options.ts";
import type { OpenRedis } from "../servers.ts";
import { stopOnSignal } from "../signals.ts";
import type { Terminal } from "../terminal.ts";

interface Options {
  readonly follow?: boolean;
  readonly task?: readonly string[];
  readonly type?: readonly string[];
  readonly run?: string | undefined;
  readonly queue?: readonly string[];
  readonly since?: number;
  readonly until?: number;
  readonly limit: number;
  readonly json?: boolean;
}

/** `tasktrail events`: the ledger, archive and tail as one. */
export function events(command: Command, { terminal }: Cli): void {
  command
    .option("-f, --follow", "goes on showing events as they are recorded, until Ctrl-C or --until")
    .option("--task <name>", "of these tasks alone", listOption)
    .option("--type <type>", "of these types alone; run.* stands for all that begin so", listOption)
    .option("--run <id>", "of this run alone: its id, or the end of it")
    .option("--queue <name>", "of these queues alone", queuesOption)
    .option("--since <time>", "not before: 10m (ago), or an instant", instantOption)
    .option("--until <time>", "and not after", instantOption)
    .option("-n, --limit <count>", "how many, the latest ones", positiveCount, 50)
    .action((options: Options) => withLedger(terminal, (opened) => show(options, { terminal, ...opened })));
  jsonOption(command);
  example(
    command,
    "events --follow --task send_welcome_email",
    "events --type run.died --since 7d --until 6d --json",
    "events --run c2a4f8bd9076",
  );
}

interface Place {
  readonly terminal: Terminal;
  readonly server: OpenRedis;
  readonly source: LedgerSource;
}

async function show(given: Options, place: Place): Promise<void> {
  const { terminal, server, source } = place;
  const { endOfLedger } = await import("../../../projections/latest-events.ts");
  const run = given.run === undefined ? undefined : await findRunId(given.run, place);
  const options = { ...given, run };
  const end = await endOfLedger(source, options.queue);
  const query = queryOf(options, end);
  const latest = await latestOf(options, query, place);
  const look = { isJson: options.json, isLive: options.follow === true, isOneRun: run !== undefined };
  const print = (events: readonly AnyEvent[]) => printEvents(events, terminal, look);
  print(latest);
  if (options.follow === true && (options.until === undefined || options.until > end)) {
    await follow(place, { options, query, end, latest, print });
  } else if (latest.length === 0 && options.json !== true) {
    const where = source.pool === undefined ? "the ledger's tail" : "the ledger";
    terminal.note(`No such event in ${where} of namespace "${server.namespace}".`);
  }
}

/** The last events that are asked for. Those of one run are read by the positions that its row keeps. */
async function latestOf({ run }: Options, query: LatestQuery, { source }: Place): Promise<readonly AnyEvent[]> {
  const { latestEvents } = await import("../../../projections/latest-events.ts");
  if (run === undefined) return latestEvents(source, query);
  const { readRun } = await import("../../../projections/history.ts");
  const { listQueues } = await import("../../../streams/lane.ts");
  const all = await readRun(source, run, query.queues ?? (await listQueues(source.redis, source.namespace)));
  const isInTime = (event: AnyEvent) => event.at >= (query.from ?? 0) && event.at <= query.until;
  return all.filter((event) => isInTime(event) && query.accept(event)).slice(-query.limit);
}

function queryOf({ task, type, run, since, until, queue, limit }: Options, end: number): LatestQuery {
  const types = type?.map((one) =>
    one.endsWith("*") ? (name: string) => name.startsWith(one.slice(0, -1)) : (name: string) => name === one,
  );
  return {
    limit,
    from: since,
    until: Math.min(until ?? end, end),
    queues: queue,
    accept(event) {
      const { task: itsTask, run: itsRun } = event as { task?: string; run?: string };
      if (task !== undefined && !task.includes(itsTask ?? "")) return false;
      if (run !== undefined && itsRun !== run) return false;
      return types === undefined || types.some((fits) => fits(event.type));
    },
  };
}

interface Following {
  readonly options: Options;
  readonly query: LatestQuery;
  /** The instant up to which the ledger was read. */
  readonly end: number;
  /** What was shown of it. */
  readonly latest: readonly AnyEvent[];
  print(events: readonly AnyEvent[]): void;
}

/** Shows what is recorded from then on. In the very millisecond in which the reading before ended, more may have come since. */
async function follow({ source, server }: Place, { options, query, end, latest, print }: Following): Promise<void> {
  const { readLedger } = await import("../../../projections/read-ledger.ts");
  const blocking = await server.another();
  const shown = new Set(latest.map(({ position }) => position));
  const { queue: queues, until } = options;
  const signal = stopOnSignal();
  for await (const event of readLedger(source, { from: end, until, queues, signal, blocking, follow: true })) {
    const [ms] = splitId(event.position?.split("/").at(-2) ?? "0-0");
    if (!query.accept(event) || (ms <= end && shown.has(event.position))) continue;
    print([event]);
  }
}
