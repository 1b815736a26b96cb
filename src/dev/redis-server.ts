import { spawnSync } from "node:child_process";
import { accessSync, constants, existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { DevError } from "./errors.ts";
import { hasApt, unpackFromApt } from "./redis-from-apt.ts";

/** A Redis server program on this machine. */
export type RedisProgram = {
  readonly path: string;
  /** As it names itself, such as `7.0.15`. */
  readonly version: string;
  /** `LD_LIBRARY_PATH` when its libraries were unpacked beside it. */
  readonly env: NodeJS.ProcessEnv;
};

const OLDEST_MAJOR = 7;
const NAMES = ["redis-server", "valkey-server"];
const USUAL_FOLDERS = [
  "/usr/bin",
  "/usr/local/bin",
  "/opt/homebrew/bin",
  "/opt/homebrew/opt/redis/bin",
  "/opt/homebrew/opt/valkey/bin",
  "/usr/local/opt/redis/bin",
  "/usr/local/opt/valkey/bin",
];

/**
 * Finds a Redis 7.0 or newer, or a Valkey: the one named by TASKTRAIL_REDIS_SERVER, on the PATH, where package managers
 * put it, in our cache; else Debian's own package, unpacked into that cache without being installed.
 *
 * @throws when there is none, with the command that would bring one
 */
export async function findRedisServer(report: (line: string) => void): Promise<RedisProgram> {
  const named = process.env.TASKTRAIL_REDIS_SERVER;
  if (named) {
    const program = examine(named, {});
    if (typeof program !== "string") return program;
    throw new DevError(`TASKTRAIL_REDIS_SERVER names ${named}, ${program}.`);
  }
  for (const path of installedPrograms()) {
    const program = examine(path, {});
    if (typeof program !== "string") return program;
    report(`passing over ${path}, ${program}`);
  }
  if (hasApt()) {
    const unpacked = await unpackFromApt(report);
    const program = examine(unpacked.path, unpacked.env);
    if (typeof program !== "string") return program;
    throw new DevError(`The Redis of this machine's packages (${unpacked.path}) is of no use: ${program}.`);
  }
  const command = process.platform === "darwin" ? "brew install redis" : "your package manager (redis or valkey)";
  throw new DevError(
    `Tasktrail needs a Redis ${OLDEST_MAJOR}.0 or newer, and found none on this machine. Install one with ${command}, ` +
      "name one in TASKTRAIL_REDIS_SERVER, or set REDIS_URL to use a server that runs elsewhere.",
  );
}

function installedPrograms(): string[] {
  const folders = [...(process.env.PATH ?? "").split(delimiter).filter(Boolean), ...USUAL_FOLDERS];
  const paths = folders.flatMap((folder) => NAMES.map((name) => join(folder, name)));
  return [...new Set(paths)].filter(isExecutable);
}

/** The program, or why it cannot serve. */
function examine(path: string, env: NodeJS.ProcessEnv): RedisProgram | string {
  if (!existsSync(path)) return "which does not exist";
  const result = spawnSync(path, ["--version"], { encoding: "utf8", env: { ...process.env, ...env } });
  const version = /v=(\d+)\.(\d+\.\d+)/.exec(result.stdout ?? "");
  if (version === null) return `which does not say its version (${(result.stderr || result.error?.message)?.trim()})`;
  if (Number(version[1]) < OLDEST_MAJOR) return `which is version ${version[1]}.${version[2]}, older than 7.0`;
  return { path, version: `${version[1]}.${version[2]}`, env };
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
