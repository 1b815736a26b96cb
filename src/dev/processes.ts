import { spawnSync } from "node:child_process";
import { readFileSync, readlinkSync } from "node:fs";
import { resolve, sep } from "node:path";

/** Whether a process with this id lives. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** When a process began, in whatever unit the system has; tells it from a later one with the same id. */
export function birthOf(pid: number): string | undefined {
  try {
    // After the name, which may hold spaces, in parentheses: the 20th value, in clock ticks since boot.
    return readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1)?.split(" ")[19];
  } catch {
    const asked = spawnSync("ps", ["-o", "lstart=", "-p", String(pid)], { encoding: "utf8" });
    return asked.stdout?.trim() || undefined;
  }
}

/** Whether this process runs in a folder or below it. Where the system does not tell: whether it lives. */
export function worksIn(pid: number, folder: string): boolean {
  if (!isAlive(pid)) return false;
  try {
    const place = readlinkSync(`/proc/${pid}/cwd`);
    return place === resolve(folder) || place.startsWith(resolve(folder) + sep);
  } catch {
    return process.platform !== "linux" && isAlive(pid);
  }
}
