import { accessSync, constants, lstatSync, mkdirSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { DevError } from "./errors.ts";

/** Where fetched programs are kept between runs: the user's cache folder, else one of ours in the temporary folder. */
export function cacheFolder(): string {
  const usual = join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "tasktrail");
  if (isWritable(usual)) return usual;
  const own = join(tmpdir(), `tasktrail-cache-${process.getuid?.() ?? "user"}`);
  mkdirSync(own, { recursive: true, mode: 0o700 });
  refuseForeign(own);
  return own;
}

/**
 * Fills a folder once, however many processes ask at the same time: each fills one of its own beside it, and the first
 * to finish gives it its name. So a folder with this name is always complete.
 */
export async function fillOnce(folder: string, fill: (draft: string) => Promise<void> | void): Promise<string> {
  if (exists(folder)) return folder;
  mkdirSync(dirname(folder), { recursive: true });
  const draft = mkdtempSync(join(dirname(folder), `.${basename(folder)}-`));
  try {
    await fill(draft);
    renameSync(draft, folder);
  } catch (error) {
    if (!exists(folder)) throw error; // else another process was first
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
  return folder;
}

/** A folder of ours that every user may pass through: for what a server of another user must reach. */
export function sharedFolder(): string {
  const folder = `/var/tmp/tasktrail-${process.getuid?.()}`;
  mkdirSync(folder, { recursive: true, mode: 0o711 });
  refuseForeign(folder);
  return folder;
}

/** Refuses a folder in a public place that somebody else has made: what lies in it would be run. */
function refuseForeign(folder: string): void {
  const stat = lstatSync(folder);
  const isOurs = stat.isDirectory() && stat.uid === process.getuid?.() && (stat.mode & 0o022) === 0;
  if (!isOurs)
    throw new DevError(`${folder} belongs to another user, or others may write to it. Remove it and try again.`);
}

function isWritable(folder: string): boolean {
  try {
    mkdirSync(folder, { recursive: true });
    accessSync(folder, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

function exists(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}
