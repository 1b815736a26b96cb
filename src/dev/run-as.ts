import { spawnSync } from "node:child_process";
import { chmodSync, lchownSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DevError } from "./errors.ts";

/** The user that a server runs as. `ids` is empty when that is ourselves. */
export type RunAs = {
  readonly name: string;
  readonly ids: { readonly uid: number; readonly gid: number } | Record<string, never>;
};

/** Ourselves. */
export const ourselves: RunAs = { name: "", ids: {} };

/**
 * Who runs Postgres: it refuses root, so root hands it to `postgres` or `nobody`, which every Linux has.
 * Nobody is created, and nothing of the machine is changed.
 */
export function postgresUser(): RunAs {
  if (process.getuid?.() !== 0) return ourselves;
  const users = new Map(
    readFileSync("/etc/passwd", "utf8")
      .split("\n")
      .map((line) => line.split(":"))
      .map(([name, , uid, gid]) => [name, { uid: Number(uid), gid: Number(gid) }]),
  );
  for (const name of ["postgres", "nobody"]) {
    const ids = users.get(name);
    if (ids !== undefined && ids.uid > 0 && ids.uid < 0xffff_fffe) return { name, ids };
  }
  throw new DevError(
    "Postgres does not run as root, and this machine has no user `postgres` or `nobody` to run it as.",
  );
}

/** Whether this user can enter the folder: asked of the kernel, since modes alone miss ACLs and mounts. */
export function canEnter(user: RunAs, folder: string): boolean {
  const probe = spawnSync("/bin/sh", ["-c", 'cd "$1"', "sh", folder], { cwd: "/", stdio: "ignore", ...user.ids });
  return probe.status === 0;
}

/**
 * Makes a folder that belongs to this user alone, with all that is in it: the last one to use it may have been another.
 *
 * @throws {DevError} when it belongs to another user and we are not root
 */
export function ownedFolder(user: RunAs, folder: string): string {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const uid = user.ids.uid ?? process.getuid?.();
  if (statSync(folder).uid === uid) return folder;
  if (process.getuid?.() !== 0) {
    throw new DevError(`${folder} belongs to another user. Run the same as that user, or remove the folder.`);
  }
  const content = readdirSync(folder, { recursive: true }) as string[];
  for (const path of [folder, ...content.map((name) => join(folder, name))]) giveTo(user, path);
  return folder;
}

/** Gives a file or folder to this user. */
export function giveTo(user: RunAs, path: string): void {
  if (process.getuid?.() === 0) lchownSync(path, user.ids.uid ?? 0, user.ids.gid ?? 0);
}

/** A new, empty folder that this user can reach. */
export function temporaryFolder(user: RunAs, prefix: string): string {
  const parents = [tmpdir(), "/var/tmp", "/tmp"];
  const parent = parents.find((folder) => canEnter(user, folder)) ?? tmpdir();
  const folder = mkdtempSync(join(parent, `tasktrail-${prefix}-`));
  chmodSync(folder, 0o711); // others may pass through to what is theirs, but not look around
  return folder;
}
