import type { Command } from "commander";
import { listQueues } from "../../../streams/lane.ts";
import { type Cli, example } from "../command.ts";
import { type LaneState, readLane, type WorkerState } from "../lane-state.ts";
import { jsonOption, queuesOption } from "../options.ts";
import { connectRedis } from "../servers.ts";
import type { Column } from "../table.ts";
import type { Terminal } from "../terminal.ts";
import { bytesWords, lengthWords } from "../words.ts";

interface Options {
  readonly queue?: readonly string[];
  readonly json?: boolean;
}

/** `tasktrail queues`: how each queue stands, and who works on it. */
export function queues(command: Command, cli: Cli): void {
  command
    .option("--queue <name>", "these queues alone", queuesOption)
    .action((options: Options) => show(options, cli.terminal));
  jsonOption(command);
  example(command, "queues", "queues --json");
}

async function show({ queue, json }: Options, terminal: Terminal): Promise<void> {
  using server = await connectRedis(terminal.env);
  const { redis, namespace } = server;
  const names = queue ?? (await listQueues(redis, namespace));
  const lanes = await Promise.all(names.map((name) => readLane(redis, namespace, name)));
  if (json === true) {
    for (const lane of lanes) terminal.json(lane);
    return;
  }
  if (lanes.length === 0) {
    terminal.note(
      `There is no queue in namespace "${namespace}" yet: a queue exists once a run was dispatched to it, or a worker reads it.`,
    );
    return;
  }
  terminal.table(lanes, laneColumns(terminal));
  const workers = lanes.flatMap((lane) => lane.workers.map((worker) => ({ ...worker, queue: lane.queue })));
  terminal.line();
  if (workers.length > 0) terminal.table(workers, workerColumns(terminal));
  else terminal.note("No worker is at work. Start one: tasktrail worker APP");
}

function laneColumns({ style }: Terminal): Column<LaneState>[] {
  const count = (title: string, value: (lane: LaneState) => number): Column<LaneState> => ({
    title,
    value,
    align: "right",
  });
  return [
    { title: "queue", value: (lane) => lane.queue + (lane.isPaused ? " (paused)" : ""), least: 8 },
    count("waiting", (lane) => lane.waiting),
    count("running", (lane) => lane.running),
    count("scheduled", (lane) => lane.scheduled),
    { ...count("dead", (lane) => lane.dead), style: (cell, lane) => (lane.dead > 0 ? style("red", cell) : cell) },
    count("cancels", (lane) => lane.cancelRequests),
    count("workers", (lane) => lane.workers.filter((worker) => (worker.leaseLeftMs ?? 0) > 0).length),
    {
      title: "oldest",
      value: ({ oldestWaitingAt, nowMs }) =>
        oldestWaitingAt === undefined ? "" : lengthWords(Math.max(0, nowMs - oldestWaitingAt)),
      align: "right",
    },
    count("ledger", (lane) => lane.ledger.entries),
    { title: "memory", value: (lane) => bytesWords(lane.bytes), align: "right" },
  ];
}

function workerColumns({ style }: Terminal): Column<WorkerState & { readonly queue: string }>[] {
  return [
    { title: "worker", value: ({ worker }) => worker, least: 16 },
    { title: "queue", value: ({ queue }) => queue, least: 8 },
    { title: "holds", value: ({ holds }) => holds, align: "right" },
    {
      title: "lease",
      value: ({ leaseLeftMs }) => leaseWords(leaseLeftMs),
      style: (cell, { leaseLeftMs }) => ((leaseLeftMs ?? 0) > 0 ? cell : style("yellow", cell)),
    },
  ];
}

function leaseWords(leftMs: number | undefined): string {
  if (leftMs === undefined) return "none";
  return leftMs > 0 ? `${lengthWords(leftMs)} left` : `lapsed ${lengthWords(Math.min(-leftMs, 365 * 86_400_000))} ago`;
}
