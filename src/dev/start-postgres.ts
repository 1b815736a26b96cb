import { type ExecFileOptions, execFile } from "node:child_process";
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { postgresBinaries } from "./postgres-binaries.ts";
import { giveTo, ownedFolder, postgresUser, type RunAs, temporaryFolder } from "./run-as.ts";
import {
  awaitPredecessor,
  choosePort,
  kept,
  newPassword,
  ready,
  type Server,
  type ServerOptions,
  withFreshPort,
} from "./server.ts";
import { type Supervised, supervise } from "./supervise.ts";

const NAME = "tasktrail"; // of the superuser and of the database
const QUICK_AND_UNSAFE = ["fsync=off", "synchronous_commit=off", "full_page_writes=off"];

/** Starts a private PostgreSQL 18: loopback only, behind a password, as another user when we are root. */
export async function startPostgres(options: ServerOptions = {}): Promise<Server> {
  const { durable = false, args = [] } = options;
  const user = postgresUser();
  const { bin } = await postgresBinaries(user);
  const isTemporary = options.dataDir === undefined;
  const dataDir = ownedFolder(user, options.dataDir ?? temporaryFolder(user, "postgres"));
  const password = kept(dataDir, "password", newPassword);
  const cluster = join(dataDir, "cluster");
  const logFile = join(dataDir, "postgres.log");
  await awaitPredecessor(join(cluster, "postmaster.pid"), dataDir);
  if (!existsSync(cluster)) await createCluster({ bin, dataDir, password, user, durable });
  let port = await choosePort(dataDir, options.port);
  let server = await withFreshPort(launch, async () => {
    if (options.port === undefined) port = await choosePort(dataDir, undefined);
  });

  async function launch(): Promise<Supervised> {
    const started = await supervise({
      command: join(bin, "postgres"),
      args: ["-D", cluster, "-p", String(port), ...settings(durable), ...args],
      env: cleanEnvironment(),
      cwd: dataDir,
      logFile,
      stopSignal: "INT", // a fast shutdown: clients are disconnected, nothing is lost
      runAs: user,
      ...(isTemporary ? { leftovers: dataDir } : {}),
    });
    return ready("PostgreSQL", started, logFile, async () => isReady(cluster, started.pid));
  }

  return {
    url: `postgres://${NAME}:${password}@127.0.0.1:${port}/${NAME}?sslmode=disable`,
    port,
    dataDir,
    get pid() {
      return server.pid;
    },
    isRunning: () => server.isRunning(),
    stop: () => server.stop(),
    kill: () => server.kill(),
    async restart() {
      await server.stop();
      await awaitPredecessor(join(cluster, "postmaster.pid"), dataDir);
      server = await launch();
    },
    async [Symbol.asyncDispose]() {
      await server.stop();
      if (isTemporary) rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

type NewCluster = { bin: string; dataDir: string; password: string; user: RunAs; durable: boolean };

/** Made under another name first: a cluster with its name is complete, even when we are killed in between. */
async function createCluster({ bin, dataDir, password, user, durable }: NewCluster): Promise<void> {
  const draft = join(dataDir, "cluster.new");
  rmSync(draft, { recursive: true, force: true });
  const passwordFile = join(dataDir, "password.new");
  writeFileSync(passwordFile, password, { mode: 0o600 });
  giveTo(user, passwordFile);
  const options = { cwd: dataDir, env: cleanEnvironment(), ...user.ids };
  await promisify(execFile)(
    join(bin, "initdb"),
    [
      ...["-D", draft, "-U", NAME, "--pwfile", passwordFile, "-A", "scram-sha-256", "-E", "UTF8"],
      ...["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--no-instructions"],
      ...(durable ? [] : ["--no-sync"]),
    ],
    options,
  );
  rmSync(passwordFile);
  await createDatabase(join(bin, "postgres"), draft, options);
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
