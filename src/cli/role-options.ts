import { spawn } from "node:child_process";
import { once } from "node:events";
import { constants } from "node:os";
import { type Command, InvalidArgumentError, Option } from "commander";
import type { Environment } from "../config.ts";
import type { Duration } from "../define/duration.ts";
import type { ProjectorOptions, WorkerOptions } from "../define/role.ts";
import { EXIT } from "./exit-codes.ts";
import { CliError } from "./failure.ts";
import type { HealthPlace } from "./health.ts";
import { countUpTo, durationOption, durationText, queuesOption } from "./options.ts";

/** Options of every role. */
export interface RoleOptions {
  readonly for?: number;
  readonly watch?: boolean;
  readonly healthPort?: number;
  readonly healthHost?: string;
}

/** Options of a worker. */
export interface WorkerFlags extends RoleOptions {
  readonly concurrency?: number;
  readonly queues?: readonly string[];
  readonly lease?: Duration;
  readonly shutdownGrace?: Duration;
}

/** Adds APP, its further modules, and the options of every role. */
export function addRoleOptions(command: Command): Command {
  return command
    .argument("<app>", "the module that exports the broker: path[#export]")
    .argument("[modules...]", 'more modules that declare tasks; globs are allowed, as in "src/**/*.tasks.ts"')
    .option("--for <duration>", "stops by itself after that long, as in 20s", durationOption)
    .option("--watch", "starts again whenever a file that it has imported changes")
    .option("--health-port <port>", "serves GET /live and /ready there (or TASKTRAIL_HEALTH_PORT)", portOption)
    .option("--health-host <host>", "the address that health is served on (default: 127.0.0.1)");
}

/** Where health is to be served, by the flags or TASKTRAIL_HEALTH_PORT; undefined: nowhere. Throws CliError. */
export function healthPlace({ healthPort, healthHost }: RoleOptions, env: Environment): HealthPlace | undefined {
  const port = healthPort ?? healthPortOf(env.TASKTRAIL_HEALTH_PORT?.trim());
  return port === undefined ? undefined : { host: healthHost ?? "127.0.0.1", port };
}

// 0 stands for any that is free.
function portOption(text: string): number {
  if (/^\d{1,5}$/.test(text) && Number(text) <= 65_535) return Number(text);
  throw new InvalidArgumentError("It is a port, from 0 to 65535.");
}

function healthPortOf(text = ""): number | undefined {
  if (text === "") return undefined;
  try {
    return portOption(text);
  } catch {
    throw new CliError(EXIT.config, `TASKTRAIL_HEALTH_PORT: "${text}" is not a port, from 0 to 65535.`);
  }
}

/** Adds the options of a worker. */
export function addWorkerOptions(command: Command): Command {
  return command
    .option(
      "-c, --concurrency <count>",
      "handlers at once (default: TASKTRAIL_CONCURRENCY, else 10)",
      countUpTo(10_000),
    )
    .option(
      "-q, --queues <names>",
      "queues, with commas (default: TASKTRAIL_QUEUES, else those of its tasks)",
      queuesOption,
    )
    .option("--lease <duration>", "how long a silent worker keeps its runs (default: 30s)", durationText)
    .option(
      "--shutdown-grace <duration>",
      "how long running handlers may take when it stops (default: 30s)",
      durationText,
    );
}

/** Options of a projector. */
export interface ProjectorFlags extends RoleOptions {
  readonly onRegression?: "continue" | "pause";
  readonly keepTail?: Duration;
  readonly maxTail?: number;
  readonly whenFull?: "refuse" | "gap";
  readonly keepArchive?: Duration;
  readonly keepArchiveBytes?: number;
}

/** Adds the options of a projector. */
export function addProjectorOptions(command: Command): Command {
  return command
    .addOption(
      new Option(
        "--on-regression <what>",
        "when Redis has lost what is archived: bring it back, or stop the queue's projection (default: continue)",
      ).choices(["continue", "pause"]),
    )
    .option("--keep-tail <duration>", "how long what is archived stays in Redis as well (default: 1d)", durationText)
    .option(
      "--max-tail <bytes>",
      "how large a queue's ledger may be in Redis, archived or not (default: any)",
      countUpTo(1e15),
    )
    .addOption(
      new Option(
        "--when-full <what>",
        "what gives past that: dispatches fail, or the oldest entries go unarchived (default: refuse)",
      ).choices(["refuse", "gap"]),
    )
    .option("--keep-archive <duration>", "how long the archive is kept (default: for ever)", durationText)
    .option("--keep-archive-bytes <bytes>", "within what size it is kept (default: any)", countUpTo(1e15));
}

/** What the flags say to a projector. */
export function projectorOptions(flags: ProjectorFlags): ProjectorOptions {
  const { onRegression, keepTail, maxTail, whenFull, keepArchive, keepArchiveBytes } = flags;
  return { onRegression, keepTail, maxTail, whenFull, keepArchive, keepArchiveBytes };
}

/** What the flags say to a worker. */
export function workerOptions({ concurrency, queues, lease, shutdownGrace }: WorkerFlags): WorkerOptions {
  return { concurrency, queues, lease, shutdownGrace };
}

/** Runs this very command, without `--watch`, under Node's own watch mode. Gives its exit code. */
export async function runWatched(): Promise<number> {
  const [script = "", ...args] = process.argv.slice(1);
  const flags = [...process.execArgv, "--watch", "--watch-preserve-output"];
  const child = spawn(process.execPath, [...flags, script, ...args.filter((arg) => arg !== "--watch")], {
    stdio: "inherit",
  });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => child.kill(signal));
  const [code, signal] = (await once(child, "exit")) as [number | null, NodeJS.Signals | null];
  return signal === null ? (code ?? 1) : 128 + constants.signals[signal];
}
