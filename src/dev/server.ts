import { rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { DevError } from "./errors.ts";
import { awaitPredecessor } from "./predecessor.ts";
import { ownedFolder, type RunAs, temporaryFolder } from "./run-as.ts";
import { choosePort, keptPassword } from "./settings.ts";
import { type ServerProgram, type Supervised, supervise, tailOf } from "./supervise.ts";

/** A private Redis or Postgres on the loopback interface. `await using` stops it. */
export type Server = AsyncDisposable & {
  /** With its password; the same after a restart. */
  readonly url: string;
  readonly port: number;
  /** The server's process id; another one after a restart. */
  readonly pid: number;
  /** The folder that holds its data, its log and its password. */
  readonly dataDir: string;
  /** Whether the process runs. */
  isRunning(): boolean;
  /** Stops it in an orderly way. A temporary data folder stays until the server is disposed of. */
  stop(): Promise<void>;
  /** Ends it with kill -9. */
  kill(): Promise<void>;
  /** Starts it again, on the same port and the same data, having stopped it first if it runs. */
  restart(): Promise<void>;
};

/** How to start a server. */
export type ServerOptions = {
  /** Keeps its data. Without it, a temporary folder, removed when the server is disposed of or this process ends. */
  readonly dataDir?: string;
  /** Whether data must outlive a crash. Default false: no fsync, and for Redis no file at all. */
  readonly durable?: boolean;
  /** Default: the port used last in this folder when it is free, else any free one. */
  readonly port?: number;
  /** More arguments for the server's command line. */
  readonly args?: readonly string[];
  /** Hears of steps that take a while, such as a download. Default: standard error. */
  readonly report?: (line: string) => void;
};

/** Where a server runs. */
export type Place = { readonly dataDir: string; readonly port: number; readonly password: string };

/** What a kind of server knows of itself. */
export type Service = {
  readonly name: string;
  readonly runAs: RunAs;
  /** In the data folder: the file in which the server writes its process id. */
  readonly pidFile: string;
  /** Makes a data folder ready for its first use. */
  prepare?(place: Place): Promise<void>;
  program(place: Place): Pick<ServerProgram, "command" | "args" | "env" | "stopSignal">;
  /** Whether the server with this process id takes commands. */
  answers(place: Place, pid: number): Promise<boolean> | boolean;
  url(place: Place): string;
};

const READY_WITHIN_MS = 30_000;
const ASK_EVERY_MS = 15;
const LOST_PORT = /address already in use|could not bind/i;

/** Starts a server of this kind. When that fails, it leaves neither a process nor a temporary folder. */
export async function host(service: Service, options: ServerOptions): Promise<Server> {
  const isTemporary = options.dataDir === undefined;
  const dataDir = options.dataDir ?? temporaryFolder(service.runAs, service.name.toLowerCase());
  const discard = () => isTemporary && rmSync(dataDir, { recursive: true, force: true });
  const launch = (place: Place) => launchIn(place, service, isTemporary);
  try {
    ownedFolder(service.runAs, dataDir);
    const [place, first] = await withPort(options.port, dataDir, launch);
    return serverOf(service.url(place), place, first, () => launch(place), discard);
  } catch (error) {
    discard();
    throw error;
  }
}

/** Between the choice of a free port and its use, another process may take it: then another one is chosen. */
async function withPort<T>(
  wanted: number | undefined,
  dataDir: string,
  launch: (place: Place) => Promise<T>,
): Promise<[Place, T]> {
  const password = keptPassword(dataDir);
  for (let tries = 1; ; tries++) {
    const place = { dataDir, password, port: wanted ?? (await choosePort(dataDir)) };
    try {
      return [place, await launch(place)];
    } catch (error) {
      if (wanted !== undefined || tries === 5 || !LOST_PORT.test(String(error))) throw error;
    }
  }
}

async function launchIn(place: Place, service: Service, isTemporary: boolean): Promise<Supervised> {
  const { dataDir } = place;
  await awaitPredecessor(join(dataDir, service.pidFile), dataDir);
  await service.prepare?.(place);
  const logFile = join(dataDir, `${service.name.toLowerCase()}.log`);
  const started = await supervise({
    ...service.program(place),
    cwd: dataDir,
    logFile,
    runAs: service.runAs,
    ...(isTemporary ? { leftovers: dataDir } : {}),
  });
  const deadline = performance.now() + READY_WITHIN_MS;
  while (started.isRunning() && performance.now() < deadline) {
    if (await service.answers(place, started.pid)) return started;
    await delay(ASK_EVERY_MS);
  }
  const why = started.isRunning() ? `did not answer within ${READY_WITHIN_MS / 1000} s` : "ended at once";
  await started.stop();
  throw new DevError(`${service.name} was started and ${why}. Its last lines:\n${tailOf(logFile)}`);
}

function serverOf(
  url: string,
  { port, dataDir }: Place,
  first: Supervised,
  launch: () => Promise<Supervised>,
  discard: () => void,
): Server {
  let current = first;
  return {
    url,
    port,
    dataDir,
    get pid() {
      return current.pid;
    },
    isRunning: () => current.isRunning(),
    stop: () => current.stop(),
    kill: () => current.kill(),
    async restart() {
      await current.stop();
      current = await launch();
    },
    async [Symbol.asyncDispose]() {
      await current.stop();
      discard();
    },
  };
}
