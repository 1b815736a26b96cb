import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { birthOf, isAlive } from "./processes.ts";

type Owner = { readonly pid: number; readonly birth: string | undefined };

/** The hold of this process on a folder. */
export type Ownership = Disposable;

/**
 * Makes this process the one owner of a data folder until it gives it back or ends, in whatever way.
 *
 * @returns the owner's process id instead, when another one holds it
 */
export function takeFolder(folder: string): Ownership | number {
  mkdirSync(folder, { recursive: true });
  const file = join(folder, "owner.json");
  const mine = `${file}.${process.pid}`;
  writeFileSync(mine, JSON.stringify({ pid: process.pid, birth: birthOf(process.pid) } satisfies Owner));
  try {
    for (;;) {
      if (tryLink(mine, file)) return { [Symbol.dispose]: () => rmSync(file, { force: true }) };
      const owner = read(file);
      if (owner !== undefined && lives(owner)) return owner.pid;
      removeStale(file);
    }
  } finally {
    rmSync(mine, { force: true });
  }
}

/** A link appears with its content, and only if there was none: two starts at once cannot both succeed. */
function tryLink(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

/** Moved aside first and looked at again there, since another process may just have put its own in the place. */
function removeStale(file: string): void {
  const aside = `${file}.${process.pid}.stale`;
  try {
    renameSync(file, aside);
  } catch {
    return; // another process removed it
  }
  const owner = read(aside);
  if (owner !== undefined && lives(owner)) tryLink(aside, file);
  rmSync(aside, { force: true });
}

function lives(owner: Owner): boolean {
  return isAlive(owner.pid) && birthOf(owner.pid) === owner.birth;
}

function read(file: string): Owner | undefined {
  try {
    return JSON.parse(readFileSync(file, "utf8")) as Owner;
  } catch {
    return undefined;
  }
}
