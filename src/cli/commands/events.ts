import type { Command } from "commander";
import { runIdTime } from "../../../streams/ids.ts";
import { laneKeys } from "../../../streams/keys.ts";
import { listQueues, pause } from "../../../streams/lane.ts";
import { type Cli, example } from "../command.ts";
import { printEvents } from "../event-lines.ts";
import { findRunId } from "../find-run.ts";
import { type LedgerTail, ledgerTail, type ReadEvent, type Wanted } from "../ledger-tail.ts";
import { instantOption, jsonOption, listOption, positiveCount, queuesOption } from "../options.ts";
import { connectRedis, type OpenRedis } from "../servers.ts";
import { stopOnSignal } from "../signals.ts";
import type { Terminal } from "../terminal.ts";

/** How often the list of queues is looked at while all of them are followed, in ms. */
const NEW_QUEUES_MS = 5_000;

interface Options {
  readonly follow?: boolean;
  readonly task?: readonly string[];
  readonly type?: readonly string[];
  readonly run?: string;
  readonly queue?: readonly string[];
  readonly since?: number;
  readonly limit: number;
  readonly json?: boolean;
}

/** `tasktrail events`: the tail of the ledger. */
export function events(command: Command, cli: Cli): void {
  command
    .option("-f, --follow", "goes on showing events as they are recorded, until Ctrl-C")
    .option("--task <name>", "of these tasks alone", listOption)
    .option("--type <type>", "of these types alone; run.* stands for all that begin so", listOption)
    .option("--run <id>", "of this run alone: its id, or the end of it")
    .option("--queue <name>", "of these queues alone", queuesOption)
    .option("--since <time>", "not before: 10m (ago), or an instant", instantOption)
    .option("-n, --limit <count>", "how many, the latest ones", positiveCount, 50)
    .action((options: Options) => show(options, cli.terminal));
  jsonOption(command);
  example(command, "events --follow --task send_welcome_email", "events --type run.died --since 1d --json");
}

async function show(given: Options, terminal: Terminal): Promise<void> {
  using server = await connectRedis(terminal.env);
  const options = given.run === undefined ? given : { ...given, run: await findRunId(given.run, { server }) };
  const wanted = wantedBy(options);
  const tails = await openTails(server, options.queue);
  const found = await Promise.all(
    tails.map(async (tail) => ({ tail, ...(await tail.latest(server.redis, wanted, options.limit)) })),
  );
  const latest = found
    .flatMap((one) => one.events)
    .sort((a, b) => a.at - b.at)
    .slice(-options.limit);
  const look = { isJson: options.json, isLive: options.follow === true, isOneRun: options.run !== undefined };
  const print = (events: readonly ReadEvent[]) => printEvents(events, terminal, look);
  print(latest);
  if (options.follow === true) {
    const known = new Map(found.map(({ tail, lastId }) => [tail.queue, lastId]));
    return await followAll(server, { wanted: { ...wanted, since: undefined }, known, queues: options.queue, print });
  }
  if (latest.length === 0 && options.json !== true) {
    terminal.note(`No such event in the ledger of namespace "${server.namespace}" (queues: ${names(tails)}).`);
  }
}

function names(tails: readonly LedgerTail[]): string {
  return tails.map(({ queue }) => queue).join(", ") || "none yet";
}

function wantedBy({ task, type, run, since }: Options): Wanted {
  const types = type?.map((one) =>
    one.endsWith("*") ? (name: string) => name.startsWith(one.slice(0, -1)) : (name: string) => name === one,
  );
  const dispatchedAt = run === undefined ? undefined : runIdTime(run);
  return {
    // An id tells when its run was dispatched, on a clock that may be some way off.
    since: since ?? (dispatchedAt === undefined ? undefined : dispatchedAt - 60_000),
    accept: (event) => {
      const { task: itsTask, run: itsRun } = event as { task?: string; run?: string };
      if (task !== undefined && !task.includes(itsTask ?? "")) return false;
      if (run !== undefined && itsRun !== run) return false;
      return types === undefined || types.some((fits) => fits(event.type));
    },
  };
}

interface Following {
  readonly wanted: Wanted;
  /** The entry after which each lane is followed. */
  readonly known: ReadonlyMap<string, string>;
  readonly queues: readonly string[] | undefined;
  print(events: readonly ReadEvent[]): void;
}

/** Follows every lane on a connection of its own; a queue that is new is found within some seconds. */
async function followAll(server: OpenRedis, { wanted, known, queues, print }: Following): Promise<void> {
  const signal = stopOnSignal();
  const followed = new Map<string, Promise<void>>();
  const { promise: broken, reject } = Promise.withResolvers<never>();
  const follow = async (tail: LedgerTail) => {
    const blocking = await server.another();
    await tail.follow(blocking, wanted, { lastId: known.get(tail.queue) ?? "0-0", signal, onEvents: print });
  };
  while (!signal.aborted) {
    for (const tail of await openTails(server, queues)) {
      if (followed.has(tail.queue)) continue;
      followed.set(tail.queue, follow(tail).catch(reject));
    }
    await Promise.race([broken, pause(NEW_QUEUES_MS, signal)]);
  }
  await Promise.race([broken, Promise.all(followed.values())]);
}

async function openTails(
  { redis, namespace }: OpenRedis,
  queues: readonly string[] | undefined,
): Promise<LedgerTail[]> {
  const names = queues ?? (await listQueues(redis, namespace));
  return Promise.all(
    names.map(async (queue) => {
      const incarnation = await redis.hget(laneKeys(namespace, queue).meta, "incarnation");
      return ledgerTail(namespace, queue, incarnation ?? "");
    }),
  );
}
