import { randomBytes } from "node:crypto";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { DevError } from "./errors.ts";
import { freePort } from "./ports.ts";
import { worksIn } from "./processes.ts";
import { type Supervised, tailOf } from "./supervise.ts";

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
  /** Keeps its data. Without it, a temporary folder, removed when the server is disposed of or the process exits. */
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

const READY_WITHIN_MS = 30_000;
const PREDECESSOR_ENDS_WITHIN_MS = 15_000;
const ASK_EVERY_MS = 15;

/** Reads a small setting kept beside a server's data, or makes it up and keeps it. */
export function kept(dataDir: string, name: string, make: () => string): string {
  const file = join(dataDir, name);
  if (existsSync(file)) return readFileSync(file, "utf8").trim();
  const value = make();
  writeFileSync(file, `${value}\n`, { mode: 0o600 });
  return value;
}

/** A password for a server: of letters and digits only, so that it stands in a URL as it is. */
export function newPassword(): string {
  return randomBytes(18).toString("hex");
}

/** The port to use: the one wanted, else the one this folder had last time when it is free, else any. */
export async function choosePort(dataDir: string, wanted: number | undefined): Promise<number> {
  if (wanted !== undefined) return wanted;
  const file = join(dataDir, "port");
  const last = existsSync(file) ? Number(readFileSync(file, "utf8")) : 0;
  const port = await freePort(last > 0 && last < 65_536 ? last : 0);
  writeFileSync(file, `${port}\n`);
  return port;
}

/**
 * Waits for the last server in this folder to end: when its owner was killed, it may still be on its way out. A pid file
 * whose process is another one by now (ids are used again, in containers soon) is removed, or Postgres would not start.
 *
 * @throws when that server still runs after 15 seconds
 */
export async function awaitPredecessor(pidFile: string, dataDir: string): Promise<void> {
  const pid = existsSync(pidFile) ? Number.parseInt(readFileSync(pidFile, "utf8"), 10) : Number.NaN;
  if (!(pid > 0)) return;
  const deadline = performance.now() + PREDECESSOR_ENDS_WITHIN_MS;
  while (worksIn(pid, dataDir)) {
    if (performance.now() > deadline) throw new DevError(`Process ${pid} is a server that still runs in ${dataDir}.`);
    await delay(ASK_EVERY_MS);
  }
  rmSync(pidFile, { force: true });
}

/** Waits until a server that was just started answers; throws with its last words when it ends instead. */
export async function ready(
  name: string,
  process: Supervised,
  logFile: string,
  answers: () => Promise<boolean>,
): Promise<Supervised> {
  const deadline = performance.now() + READY_WITHIN_MS;
  while (process.isRunning() && performance.now() < deadline) {
    if (await answers()) return process;
    await delay(ASK_EVERY_MS);
  }
  const why = process.isRunning() ? `did not answer within ${READY_WITHIN_MS / 1000} s` : "ended at once";
  await process.stop();
  throw new DevError(`${name} was started and ${why}. Its last lines:\n${tailOf(logFile)}`);
}

/** Repeats a start that lost its port to another process between the choice and the use. */
export async function withFreshPort<T>(start: () => Promise<T>, choose: () => Promise<void>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await start();
    } catch (error) {
      if (tries === 5 || !/address already in use|could not bind|Failed listening/i.test(String(error))) throw error;
      await choose();
    }
  }
}
