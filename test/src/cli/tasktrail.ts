import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { constants } from "node:os";
import { after } from "node:test";
import { fileURLToPath } from "node:url";

const main = fileURLToPath(new URL("../../../src/cli/main.ts", import.meta.url));

const started: ChildProcess[] = [];

after(() => {
  // A test that failed half-way must not leave a worker behind, nor what that has started: it would keep the whole run waiting.
  for (const { pid } of started) {
    try {
      if (pid !== undefined) process.kill(-pid, "SIGKILL");
    } catch {
      // it has ended, as it should
    }
  }
});

/** How a command went. */
export interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Where and with what a command runs. */
export interface Given {
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
  readonly input?: string;
}

/** Starts the real command line. Variables of servers come from `env` alone. */
export function startTasktrail(args: readonly string[], { env = {}, cwd = process.cwd() }: Given = {}): ChildProcess {
  const { REDIS_URL: _r, DATABASE_URL: _d, FORCE_COLOR: _f, ...rest } = process.env;
  const child = spawn(process.execPath, ["--conditions=tasktrail-source", main, ...args], {
    cwd,
    env: { ...rest, NODE_OPTIONS: "", ...env },
    stdio: "pipe",
    detached: true, // a process group of its own
  });
  started.push(child);
  return child;
}

/** Runs the real command line to its end. */
export async function tasktrail(args: readonly string[], given: Given = {}): Promise<Ran> {
  const child = startTasktrail(args, given);
  child.stdin?.end(given.input ?? "");
  return ended(child);
}

/** Waits for a command that was started, and gives what it printed from now on. */
export async function ended(child: ChildProcess): Promise<Ran> {
  let out = "";
  let err = "";
  child.stdout?.on("data", (chunk) => (out += String(chunk)));
  child.stderr?.on("data", (chunk) => (err += String(chunk)));
  const [code, signal] = (await once(child, "close")) as [number | null, NodeJS.Signals | null];
  return { code: signal === null ? (code ?? 1) : 128 + constants.signals[signal], out, err };
}

/** The documents that a command printed with `--json`. */
// biome-ignore lint/suspicious/noExplicitAny: tests look into them as they please
export function documents({ out }: Ran): any[] {
  return out
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line));
}
