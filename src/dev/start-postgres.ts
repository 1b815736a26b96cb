import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { postgresBinaries } from "./postgres-binaries.ts";
import { cleanEnvironment, createCluster, NAME } from "./postgres-cluster.ts";
import { postgresUser } from "./run-as.ts";
import { host, type Place, type Server, type ServerOptions } from "./server.ts";

const QUICK_AND_UNSAFE = ["fsync=off", "synchronous_commit=off", "full_page_writes=off"];

/** Starts a private PostgreSQL 18: loopback only, behind a password, as another user when we are root. */
export async function startPostgres(options: ServerOptions = {}): Promise<Server> {
  const { durable = false, args = [] } = options;
  const runAs = postgresUser();
  const binaries = await postgresBinaries(runAs);
  const cluster = ({ dataDir }: Place) => join(dataDir, "cluster");
  return host(
    {
      name: "Postgres",
      runAs,
      pidFile: join("cluster", "postmaster.pid"),
      async prepare(place) {
        if (!existsSync(cluster(place))) await createCluster(cluster(place), place.password, binaries, runAs);
      },
      program: (place) => ({
        command: join(binaries.bin, "postgres"),
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

/** The server's own pid file says so in its eighth line, which needs no client and no password. */
function isReady(cluster: string, pid: number): boolean {
  try {
    const lines = readFileSync(join(cluster, "postmaster.pid"), "utf8").split("\n");
    return Number(lines[0]) === pid && lines[7]?.trim() === "ready";
  } catch {
    return false;
  }
}
