import { spawnSync } from "node:child_process";
import { chownSync, closeSync, openSync, rmdirSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import type pg from "pg";
import { postgresUser, temporaryFolder } from "../../src/dev/run-as.ts";

const SIZE = "64m";
const CHUNK = Buffer.alloc(65_536, 1);

/** A small disk of its own, on which some tables lie. Disposing moves them back, and takes the disk away. */
export interface SmallDisk extends AsyncDisposable {
  /** Writes until nothing more fits. */
  fill(): void;
  /** Makes room again. */
  clear(): void;
}

/** Mounts a disk in memory, and moves a table with its indexes there; undefined where this process may not mount. */
export async function onSmallDisk(client: pg.Client, table: string): Promise<SmallDisk | undefined> {
  const user = postgresUser();
  const folder = temporaryFolder(user, "disk");
  const { status } = spawnSync("mount", ["-t", "tmpfs", "-o", `size=${SIZE}`, "tmpfs", folder], { stdio: "ignore" });
  if (status !== 0) {
    rmdirSync(folder);
    return undefined;
  }
  const { uid = process.getuid?.() ?? 0, gid = process.getgid?.() ?? 0 } = user.ids;
  chownSync(folder, uid, gid);
  const filler = join(folder, "filler");
  await client.query(`create tablespace small location '${folder}'`);
  await move(client, table, "small");
  return {
    fill: () => writeAll(filler),
    clear: () => rmSync(filler, { force: true }),
    async [Symbol.asyncDispose]() {
      rmSync(filler, { force: true });
      await move(client, table, "pg_default");
      await client.query("drop tablespace small");
      spawnSync("umount", [folder], { stdio: "ignore" });
      rmdirSync(folder);
    },
  };
}

async function move(client: pg.Client, table: string, tablespace: string): Promise<void> {
  await client.query(`alter table ${table} set tablespace ${tablespace}`);
  const { rows } = await client.query("select indexname from pg_indexes where tablename = $1", [table]);
  for (const { indexname } of rows) await client.query(`alter index ${indexname} set tablespace ${tablespace}`);
}

function writeAll(path: string): void {
  const file = openSync(path, "w");
  try {
    for (;;) writeSync(file, CHUNK);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
  } finally {
    closeSync(file);
  }
}
