import { spawnSync } from "node:child_process";
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readFileSync } from "node:fs";
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

/** Makes a folder that belongs to this user alone. */
export function ownedFolder(user: RunAs, folder: string): string {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  giveTo(user, folder);
  return folder;
}

/** Gives a file or folder to this user. */
export function giveTo(user: RunAs, path: string): void {
  if (user.ids.uid !== undefined) chownSync(path, user.ids.uid, user.ids.gid);
}

/** A new, empty folder that this user can reach. */
export function temporaryFolder(user: RunAs, prefix: string): string {
  const parents = [tmpdir(), "/var/tmp", "/tmp"];
  const parent = parents.find((folder) => canEnter(user, folder)) ?? tmpdir();
  const folder = mkdtempSync(join(parent, `tasktrail-${prefix}-`));
  chmodSync(folder, 0o711); // others may pass through to what is theirs, but not look around
  return folder;
}
