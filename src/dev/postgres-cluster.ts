import { type ExecFileOptions, execFile } from "node:child_process";
import { renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { fillOnce } from "./cache.ts";
import { DevError } from "./errors.ts";
import { type PostgresBinaries, reachableCache } from "./postgres-binaries.ts";
import { giveTo, type RunAs } from "./run-as.ts";

/** The name of the superuser and of the database. */
export const NAME = "tasktrail";

/**
 * Makes a cluster (Postgres' word for a data folder) whose superuser has this password. A copy of one that was made
 * before takes a tenth of the time that initdb takes. Made under another name first: a cluster that has its name is
 * complete, even when we are killed in between.
 */
export async function createCluster(
  cluster: string,
  password: string,
  binaries: PostgresBinaries,
  runAs: RunAs,
): Promise<void> {
  const draft = `${cluster}.new`;
  const options = { cwd: "/", env: cleanEnvironment(), ...runAs.ids };
  try {
    const name = ["postgres-template", binaries.version, runAs.name].filter(Boolean).join("-");
    const template = await fillOnce(join(reachableCache(runAs), name), (folder) =>
      initialize(folder, binaries.bin, runAs, options),
    );
    rmSync(draft, { recursive: true, force: true });
    await promisify(execFile)("cp", ["-Rp", join(template, "cluster"), draft]);
    await tellSingleUser(binaries.bin, draft, `alter role ${NAME} password '${password}'`, options);
  } catch (error) {
    const said = (error as { stderr?: string }).stderr?.trim() || (error as Error).message;
    throw new DevError(`Postgres could not make its data folder ${cluster}:\n${said}`, { cause: error });
  }
  renameSync(draft, cluster);
}

/** An environment without the PG* variables, which would lead elsewhere, and without the caller's language. */
export function cleanEnvironment(): NodeJS.ProcessEnv {
  const rest = Object.entries(process.env).filter(([name]) => !/^(PG|LC_|LANG|NODE_|HOME$)/.test(name));
  return { ...Object.fromEntries(rest), LC_ALL: "C", HOME: "/" };
}

async function initialize(folder: string, bin: string, runAs: RunAs, options: ExecFileOptions): Promise<void> {
  const cluster = join(folder, "cluster");
  const passwordFile = join(folder, "password"); // initdb wants one; every copy gets its own
  writeFileSync(passwordFile, "unused", { mode: 0o600 });
  for (const path of [folder, passwordFile]) giveTo(runAs, path);
  await promisify(execFile)(
    join(bin, "initdb"),
    [
      ...["-D", cluster, "-U", NAME, "--pwfile", passwordFile, "-A", "scram-sha-256", "-E", "UTF8", "--no-sync"],
      ...["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--no-instructions"],
    ],
    options,
  );
  rmSync(passwordFile);
  await tellSingleUser(bin, cluster, `create database ${NAME}`, options);
}

/** Runs a statement in single-user mode: no server has to listen for it. */
async function tellSingleUser(
  bin: string,
  cluster: string,
  statement: string,
  options: ExecFileOptions,
): Promise<void> {
  const done = promisify(execFile)(join(bin, "postgres"), ["--single", "-F", "-j", "-D", cluster, "postgres"], options);
  done.child.stdin?.end(`${statement};\n\n`);
  const { stderr } = await done;
  // It goes on after an error, and ends with 0.
  if (/^.*ERROR:/m.test(String(stderr))) throw new DevError(String(stderr));
}
