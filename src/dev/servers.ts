import { createConnection } from "node:net";
import { join } from "node:path";
import { devDataFolder, holdDevData, postgresFolder } from "./dev-data.ts";
import { DevError } from "./errors.ts";
import { startPostgres } from "./start-postgres.ts";
import { startRedis } from "./start-redis.ts";

/** A server to use. */
export type Endpoint = {
  readonly url: string;
  /** False when REDIS_URL or DATABASE_URL named it. */
  readonly isOurs: boolean;
};

/** The two servers the project needs. `await using` stops those that are ours, and leaves the others as they are. */
export type Servers = AsyncDisposable & { readonly redis: Endpoint; readonly postgres: Endpoint };

type Starters = {
  redis: () => Promise<Endpoint & AsyncDisposable>;
  postgres: () => Promise<Endpoint & AsyncDisposable>;
};

/**
 * The servers of `npm test`: fresh, fast and forgetful.
 *
 * @throws {DevError} with exit code 69 when REDIS_URL or DATABASE_URL names a server that does not answer
 */
export function openTestServers(): Promise<Servers> {
  return open({ redis: async () => ours(await startRedis()), postgres: async () => ours(await startPostgres()) });
}

/**
 * The servers of `npm start`: their data, ports and passwords stay from one start to the next.
 *
 * @throws {DevError} when another process holds the data, or, with exit code 69, when a server named by REDIS_URL or
 *   DATABASE_URL does not answer
 */
export async function openDevServers(report: (line: string) => void): Promise<Servers> {
  const folder = devDataFolder();
  const hold = holdDevData(folder);
  try {
    const servers = await open({
      redis: async () => ours(await startRedis({ dataDir: join(folder, "redis"), durable: true, report })),
      postgres: async () => {
        const { path, why } = postgresFolder(folder);
        if (why !== undefined) report(why);
        return ours(await startPostgres({ dataDir: path, durable: true, report }));
      },
    });
    return {
      ...servers,
      async [Symbol.asyncDispose]() {
        await servers[Symbol.asyncDispose]();
        hold[Symbol.dispose]();
      },
    };
  } catch (error) {
    hold[Symbol.dispose]();
    throw error;
  }
}

/** Opens both at once. When one fails, the other is stopped before the error goes on. */
async function open(start: Starters): Promise<Servers> {
  const { REDIS_URL, DATABASE_URL } = process.env;
  const opened = await Promise.allSettled([
    REDIS_URL ? given("REDIS_URL", REDIS_URL, 6379) : start.redis(),
    DATABASE_URL ? given("DATABASE_URL", DATABASE_URL, 5432) : start.postgres(),
  ]);
  const close = async () => {
    await Promise.all(opened.map((one) => one.status === "fulfilled" && one.value[Symbol.asyncDispose]()));
  };
  const [redis, postgres] = opened;
  if (redis.status === "fulfilled" && postgres.status === "fulfilled") {
    return { redis: redis.value, postgres: postgres.value, [Symbol.asyncDispose]: close };
  }
  await close();
  throw [redis, postgres].find((one) => one.status === "rejected")?.reason;
}

function ours<T extends { url: string } & AsyncDisposable>(server: T): Endpoint & AsyncDisposable {
  return { url: server.url, isOurs: true, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}

/** A server that the user named: asked whether it is there, and otherwise left alone. */
async function given(variable: string, text: string, usualPort: number): Promise<Endpoint & AsyncDisposable> {
  const url = URL.parse(text);
  if (url === null) throw new DevError(`${variable} is not a URL: ${redact(text)}`, { exitCode: 69 });
  const socketFolder = url.searchParams.get("host") ?? decodeURIComponent(url.hostname);
  const address = socketFolder.startsWith("/")
    ? { path: join(socketFolder, `.s.PGSQL.${url.port || usualPort}`) }
    : { host: url.hostname.replace(/^\[|\]$/g, "") || "127.0.0.1", port: Number(url.port || usualPort) };
  const failure = await connect(address);
  if (failure === undefined) return { url: text, isOurs: false, [Symbol.asyncDispose]: async () => {} };
  throw new DevError(
    `${variable} names ${redact(text)}, which does not answer: ${failure}.\n` +
      `Start that server, correct ${variable}, or unset it to use a private one.`,
    { exitCode: 69 },
  );
}

/** The address without its password. */
export function redact(text: string): string {
  return text.replace(/:\/\/([^:@/]*):[^@/]*@/, "://$1:***@");
}

function connect(address: { path: string } | { host: string; port: number }): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = createConnection(address);
    const finish = (failure?: string) => {
      socket.destroy();
      resolve(failure);
    };
    socket.setTimeout(5_000, () => finish("no answer within 5 s"));
    socket.on("connect", () => finish());
    socket.on("error", (error: NodeJS.ErrnoException) => finish(error.code ?? error.message));
  });
}
