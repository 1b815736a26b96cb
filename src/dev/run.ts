import { spawn } from "node:child_process";
import { once } from "node:events";
import { constants } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

/** The checkout. */
export const root: string = resolve(dirname(fileURLToPath(import.meta.url)), "../..");

/** Runs a program of node_modules by its bin's name; resolves with its exit code and, when captured, what it printed. */
export async function runTool(name: string, args: readonly string[], capture = false): Promise<Outcome> {
  return run(join(root, "node_modules", ".bin", name), args, capture);
}

/** How a program ended. */
export type Outcome = { readonly code: number; readonly output: string };

/** Runs a program in the checkout; resolves with its exit code and, when captured, what it printed. */
export async function run(
  command: string,
  args: readonly string[],
  capture = false,
  env: NodeJS.ProcessEnv = process.env,
): Promise<Outcome> {
  const stdio = capture ? "pipe" : "inherit";
  const child = spawn(command, args, { cwd: root, env, stdio: ["ignore", stdio, stdio] });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream?.on("data", (chunk) => (output += String(chunk)));
  const [code, signal] = (await once(child, "close")) as [number | null, NodeJS.Signals | null];
  return { code: signal === null ? (code ?? 1) : 128 + constants.signals[signal], output };
}
