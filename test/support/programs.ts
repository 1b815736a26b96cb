import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";
import { isAlive } from "../../src/dev/processes.ts";
import { root } from "./modules.ts";
import { eventually } from "./servers.ts";

/** A program of the project that runs in a process of its own. */
export type Program = {
  readonly child: ChildProcess;
  /** What it has printed so far, both streams. */
  output(): string;
  /** Its exit code, or the name of the signal that ended it. */
  readonly ended: Promise<number | string>;
};

const started: ChildProcess[] = [];
after(() => {
  for (const child of started) if (child.exitCode === null) child.kill("SIGTERM");
});

/** Runs a program as an npm script does. Servers that the caller's environment names are not passed on. */
export function runProgram(path: string, args: readonly string[] = [], env: NodeJS.ProcessEnv = {}): Program {
  return runScript(join(root, "src/dev/setup.mjs"), [path, ...args], env);
}

/** Runs a script on this Node, without our loaders. */
export function runScript(path: string, args: readonly string[] = [], env: NodeJS.ProcessEnv = {}): Program {
  // Nor that a test runner is above: a program that runs tests of its own would report to it.
  const { REDIS_URL: _redis, DATABASE_URL: _database, NODE_TEST_CONTEXT: _runner, ...rest } = process.env;
  const child = spawn(process.execPath, [path, ...args], {
    env: { ...rest, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  started.push(child);
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (output += String(chunk)));
  const ended = once(child, "close").then(([code, signal]) => (code ?? signal) as number | string);
  return { child, output: () => output, ended };
}

/** A temporary folder, removed when the test file ends. */
export function scratchFolder(name = "scratch"): string {
  const folder = mkdtempSync(join(tmpdir(), `tasktrail ${name} é-`));
  chmodSync(folder, 0o755); // when root runs the tests, another user runs Postgres in it
  after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** The servers that `npm start` runs with its data in this folder, once both are up. */
export async function serversOf(folder: string): Promise<{ redisPid: number; postgresPid: number }> {
  const lines = (path: string) => readFileSync(join(folder, path), "utf8").split("\n");
  return eventually(
    () => {
      const postgres = lines("postgres/cluster/postmaster.pid");
      const redisPid = Number(lines("redis/redis.pid")[0]);
      return postgres[7]?.trim() === "ready" && redisPid > 0 && { redisPid, postgresPid: Number(postgres[0]) };
    },
    { timeoutMs: 30_000 },
  );
}

/** Waits until none of these processes lives. */
export async function allEnd(pids: readonly number[], timeoutMs = 10_000): Promise<void> {
  await eventually(() => !pids.some(isAlive), { timeoutMs });
}

/** The direct child processes of a process. */
export function childrenOf(pid: number): number[] {
  const file = `/proc/${pid}/task/${pid}/children`;
  return existsSync(file) ? readFileSync(file, "utf8").split(" ").filter(Boolean).map(Number) : [];
}
