import { createHash } from "node:crypto";
import { mkdirSync, rmSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { sharedFolder } from "./cache.ts";
import { DevError } from "./errors.ts";
import { type Ownership, takeFolder } from "./owner.ts";
import { root } from "./run.ts";
import { canEnter, postgresUser } from "./run-as.ts";

/** Where `npm start` keeps its data: in the checkout, or where TASKTRAIL_DATA says. */
export function devDataFolder(): string {
  return resolve(process.env.TASKTRAIL_DATA || join(root, ".tasktrail", "data"));
}

/** The folder of Postgres' own data, with the reason when it lies elsewhere. */
export function postgresFolder(folder: string): { path: string; why?: string } {
  const user = postgresUser();
  mkdirSync(folder, { recursive: true });
  if (canEnter(user, folder)) return { path: join(folder, "postgres") };
  return {
    path: elsewhere(folder),
    why: `Postgres runs as the user ${user.name}, who may not enter ${folder}; its data lies in ${elsewhere(folder)}`,
  };
}

/**
 * Holds the data folder for this process.
 *
 * @throws {DevError} naming the process that holds it
 */
export function holdDevData(folder: string): Ownership {
  const owner = takeFolder(folder);
  if (typeof owner !== "number") return owner;
  throw new DevError(`Tasktrail already runs here, as process ${owner} (its data: ${folder}). Stop that one first.`);
}

/** Removes all of the data, wherever it lies. The caller holds the folder. */
export function removeDevData(folder: string): void {
  for (const part of ["redis", "postgres", "shop"]) rmSync(join(folder, part), { recursive: true, force: true });
  rmSync(elsewhere(folder), { recursive: true, force: true });
}

/** One place per data folder, where every user can pass through. */
function elsewhere(folder: string): string {
  const hash = createHash("sha256").update(folder).digest("hex").slice(0, 12);
  return join(sharedFolder(), `${basename(root).replace(/[^\w-]/g, "")}-${hash}`);
}
