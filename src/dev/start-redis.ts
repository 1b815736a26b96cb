import { writeFileSync } from "node:fs";
import { createConnection } from "node:net";
import { join } from "node:path";
import { findRedisServer } from "./redis-server.ts";
import { ourselves } from "./run-as.ts";
import { host, type Place, type Server, type ServerOptions } from "./server.ts";

/** Starts a private Redis: loopback only, behind a password, nothing shared with a Redis the machine may run. */
export async function startRedis(options: ServerOptions = {}): Promise<Server> {
  const { durable = false, args = [], report = console.error } = options;
  const found = await findRedisServer(report);
  return host(
    {
      name: "Redis",
      runAs: ourselves,
      pidFile: "redis.pid",
      program: (place) => ({
        command: found.path,
        args: [writeConfiguration(place, durable), ...args],
        env: { ...process.env, ...found.env },
        stopSignal: "TERM",
      }),
      answers: ({ port, password }) => answers(port, password),
      url: ({ port, password }) => `redis://:${password}@127.0.0.1:${port}/0`,
    },
    options,
  );
}

/** A file and not arguments, since everybody can read a process's arguments. */
function writeConfiguration({ port, password, dataDir }: Place, durable: boolean): string {
  const file = join(dataDir, "redis.conf");
  const settings = [
    "bind 127.0.0.1",
    `port ${port}`,
    `requirepass ${password}`,
    `dir ${JSON.stringify(dataDir)}`,
    `pidfile ${JSON.stringify(join(dataDir, "redis.pid"))}`,
    "daemonize no",
    "maxmemory-policy noeviction",
    'save ""',
    `appendonly ${durable ? "yes" : "no"}`,
    "appendfsync everysec",
  ];
  writeFileSync(file, `${settings.join("\n")}\n`, { mode: 0o600 });
  return file;
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
