import { existsSync, readFileSync, rmSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { DevError } from "./errors.ts";
import { worksIn } from "./processes.ts";

const ENDS_WITHIN_MS = 15_000;
const LOOK_EVERY_MS = 15;

/**
 * Waits for the last server in this folder to end: when its owner was killed, it may still be on its way out. A pid file
 * whose process is another one by now (ids are used again, in containers soon) is removed, or Postgres would not start.
 *
 * @throws {DevError} when that server still runs after 15 seconds
 */
export async function awaitPredecessor(pidFile: string, dataDir: string): Promise<void> {
  const pid = existsSync(pidFile) ? Number.parseInt(readFileSync(pidFile, "utf8"), 10) : Number.NaN;
  if (!(pid > 0)) return;
  const deadline = performance.now() + ENDS_WITHIN_MS;
  while (worksIn(pid, dataDir)) {
    if (performance.now() > deadline) throw new DevError(`Process ${pid} is a server that still runs in ${dataDir}.`);
    await delay(LOOK_EVERY_MS);
  }
  rmSync(pidFile, { force: true });
}
