import { type ExecFileOptions, execFile } from "node:child_process";
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { DevError } from "./errors.ts";
import { postgresBinaries } from "./postgres-binaries.ts";
import { giveTo, postgresUser, type RunAs } from "./run-as.ts";
import { host, type Place, type Server, type ServerOptions } from "./server.ts";

const NAME = "tasktrail"; // of the superuser and of the database
const QUICK_AND_UNSAFE = ["fsync=off", "synchronous_commit=off", "full_page_writes=off"];

/** Starts a private PostgreSQL 18: loopback only, behind a password, as another user when we are root. */
export async function startPostgres(options: ServerOptions = {}): Promise<Server> {
  const { durable = false, args = [] } = options;
  const runAs = postgresUser();
  const { bin } = await postgresBinaries(runAs);
  const cluster = ({ dataDir }: Place) => join(dataDir, "cluster");
  return host(
    {
      name: "Postgres",
      runAs,
      pidFile: join("cluster", "postmaster.pid"),
      async prepare(place) {
        if (!existsSync(cluster(place))) await createCluster(bin, place, runAs, durable);
      },
      program: (place) => ({
        command: join(bin, "postgres"),
        args: ["-D", cluster(place), "-p", String(place.port), ...settings(durable), ...args],
        env: cleanEnvironment(),
        stopSignal: "INT", // a fast shutdown: clients are disconnected, nothing is lost
      }),
      answers: (place, pid) => isReady(cluster(place), pid),
      url: ({ port, password }) => `postgres://${NAME}:${password}@127.0.0.1:${port}/${NAME}?sslmode=disable`,
    },
    options,
  );
}

/** Made under another name first: a cluster with its name is complete, even when we are killed in between. */
async function createCluster(bin: string, { dataDir, password }: Place, runAs: RunAs, durable: boolean): Promise<void> {
  const draft = join(dataDir, "cluster.new");
  const passwordFile = join(dataDir, "password.new");
  rmSync(draft, { recursive: true, force: true });
  writeFileSync(passwordFile, password, { mode: 0o600 });
  giveTo(runAs, passwordFile);
  const options = { cwd: dataDir, env: cleanEnvironment(), ...runAs.ids };
  const args = [
    ...["-D", draft, "-U", NAME, "--pwfile", passwordFile, "-A", "scram-sha-256", "-E", "UTF8"],
    ...["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--no-instructions"],
    ...(durable ? [] : ["--no-sync"]),
  ];
  try {
    await promisify(execFile)(join(bin, "initdb"), args, options);
    await createDatabase(join(bin, "postgres"), draft, options);
  } catch (error) {
    const said = (error as { stderr?: string }).stderr?.trim() || (error as Error).message;
    throw new DevError(`Postgres could not make its data folder in ${dataDir}:\n${said}`, { cause: error });
  } finally {
    rmSync(passwordFile);
  }
  renameSync(draft, join(dataDir, "cluster"));
}

/** In single-user mode: no server has to listen for it. */
async function createDatabase(postgres: string, cluster: string, options: ExecFileOptions): Promise<void> {
  const done = promisify(execFile)(postgres, ["--single", "-F", "-j", "-D", cluster, "postgres"], options);
  done.child.stdin?.end(`create database ${NAME};\n\n`);
  await done;
}

function settings(durable: boolean): string[] {
  const values = [
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "shared_buffers=64MB",
    "max_connections=200",
    "jit=off",
    "timezone=UTC",
    "log_timezone=UTC",
    "logging_collector=off",
    ...(durable ? [] : QUICK_AND_UNSAFE),
  ];
  return values.flatMap((value) => ["-c", value]);
}

/** Without the PG* variables, which would lead initdb and the server elsewhere, and without the caller's language. */
function cleanEnvironment(): NodeJS.ProcessEnv {
  const rest = Object.entries(process.env).filter(([name]) => !/^(PG|LC_|LANG|NODE_|HOME$)/.test(name));
  return { ...Object.fromEntries(rest), LC_ALL: "C", HOME: "/" };
}

/** The server's own pid file says so in its eighth line, which needs no client and no password. */
function isReady(cluster: string, pid: number): boolean {
  try {
    const lines = readFileSync(join(cluster, "postmaster.pid"), "utf8").split("\n");
    return Number(lines[0]) === pid && lines[7]?.trim() === "ready";
  } catch {
    return false;
  }
}
