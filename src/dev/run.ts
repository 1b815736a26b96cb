import { spawn } from "node:child_process";
import { once } from "node:events";
import { constants } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

/** The checkout. */
export const root: string = resolve(dirname(fileURLToPath(import.meta.url)), "../..");

/** How a program ended. */
export type Outcome = {
  /** Its exit code; 128 and the signal's number when a signal ended it, as shells have it. */
  readonly code: number;
  /** What it printed, both streams, when that was captured. */
  readonly output: string;
};

/** How to run a program. */
export type RunOptions = { readonly capture?: boolean; readonly env?: NodeJS.ProcessEnv };

/** Runs a program of node_modules by its bin's name. */
export function runTool(name: string, args: readonly string[], options: RunOptions = {}): Promise<Outcome> {
  return run(join(root, "node_modules", ".bin", name), args, options);
}

/** Runs the TypeScript that we build with: by its file, since the older ones that tests compile with have a `tsc` too, and one of them got its name in `.bin`. */
export function runTypeScript(args: readonly string[], options: RunOptions = {}): Promise<Outcome> {
  return run(process.execPath, [join(root, "node_modules/typescript/bin/tsc"), ...args], options);
}

/** Runs a program in the checkout, and hands it the signals that we get meanwhile. */
export async function run(command: string, args: readonly string[], options: RunOptions = {}): Promise<Outcome> {
  const { capture = false, env = process.env } = options;
  const stdio = capture ? "pipe" : "inherit";
  const child = spawn(command, args, { cwd: root, env, stdio: ["ignore", stdio, stdio] });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream?.on("data", (chunk) => (output += String(chunk)));
  const forward = (name: NodeJS.Signals) => child.kill(name);
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  for (const name of signals) process.on(name, forward);
  const [code, signal] = (await once(child, "close")) as [number | null, NodeJS.Signals | null];
  for (const name of signals) process.off(name, forward);
  return { code: signal === null ? (code ?? 1) : 128 + constants.signals[signal], output };
}
