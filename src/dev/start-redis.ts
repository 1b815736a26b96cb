import { rmSync, writeFileSync } from "node:fs";
import { createConnection } from "node:net";
import { join } from "node:path";
import { findRedisServer } from "./redis-server.ts";
import { ourselves, ownedFolder, temporaryFolder } from "./run-as.ts";
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

/** Starts a private Redis: loopback only, behind a password, nothing shared with a Redis the machine may run. */
export async function startRedis(options: ServerOptions = {}): Promise<Server> {
  const { durable = false, args = [], report = console.error } = options;
  const program = await findRedisServer(report);
  const isTemporary = options.dataDir === undefined;
  const dataDir = ownedFolder(ourselves, options.dataDir ?? temporaryFolder(ourselves, "redis"));
  const password = kept(dataDir, "password", newPassword);
  const logFile = join(dataDir, "redis.log");
  await awaitPredecessor(join(dataDir, "redis.pid"), dataDir);
  let port = await choosePort(dataDir, options.port);
  let server = await withFreshPort(launch, async () => {
    if (options.port === undefined) port = await choosePort(dataDir, undefined);
  });

  async function launch(): Promise<Supervised> {
    const config = join(dataDir, "redis.conf");
    writeFileSync(config, configuration({ port, password, dataDir, durable }), { mode: 0o600 });
    const started = await supervise({
      command: program.path,
      args: [config, ...args],
      env: { ...process.env, ...program.env },
      cwd: dataDir,
      logFile,
      stopSignal: "TERM",
      runAs: ourselves,
      ...(isTemporary ? { leftovers: dataDir } : {}),
    });
    return ready("Redis", started, logFile, () => answers(port, password));
  }

  return {
    url: `redis://:${password}@127.0.0.1:${port}/0`,
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
      server = await launch();
    },
    async [Symbol.asyncDispose]() {
      await server.stop();
      if (isTemporary) rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

type Settings = { port: number; password: string; dataDir: string; durable: boolean };

/** A file and not arguments, since everybody can read a process's arguments. */
function configuration({ port, password, dataDir, durable }: Settings): string {
  return [
    "bind 127.0.0.1",
    `port ${port}`,
    `requirepass ${password}`,
    `dir ${JSON.stringify(dataDir)}`,
    `pidfile ${JSON.stringify(join(dataDir, "redis.pid"))}`,
    "daemonize no",
    "maxmemory-policy noeviction",
    'save ""',
    durable ? "appendonly yes" : "appendonly no",
    "appendfsync everysec",
    "",
  ].join("\n");
}

/** Whether the server with this password is ready, its data loaded. */
function answers(port: number, password: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ port, host: "127.0.0.1" });
    const finish = (isReady: boolean) => {
      socket.destroy();
      resolve(isReady);
    };
    socket.setTimeout(1_000, () => finish(false));
    socket.on("error", () => finish(false));
    socket.on("end", () => finish(false));
    let reply = "";
    socket.on("data", (chunk) => {
      reply += String(chunk);
      if (reply.includes("PONG")) finish(true);
      else if (reply.includes("-")) finish(false);
    });
    socket.write(`AUTH ${password}\r\nPING\r\n`);
  });
}
