import type { Redis } from "ioredis";
import { openRedis, ready, refusal } from "../../streams/connect.ts";
import { brokerSettings, databaseSource, type Environment, redisSource, schedulerSettings } from "../config.ts";
import { redacted } from "../server-url.ts";
import { EXIT } from "./exit-codes.ts";
import { CliError } from "./failure.ts";

/** How long a command waits for a server, in ms. */
const PATIENCE_MS = 5_000;

/** The namespace that a command without an application works in. */
export function namespaceOf(env: Environment): string {
  return brokerSettings({}, env).namespace;
}

/** The URL of the Redis that a command without an application asks. Throws CliError. */
export function redisUrl(env: Environment): string {
  if (!env.REDIS_URL?.trim()) {
    throw new CliError(EXIT.config, "No Redis is named.", {
      advice: "Set REDIS_URL, as in REDIS_URL=redis://localhost:6379, or give --redis URL.",
    });
  }
  return redisSource({}, env) as string;
}

/** The URL of the Postgres that a command without an application asks; `need` says what for. Throws CliError. */
export function databaseUrl(env: Environment, need: string): string {
  const url = databaseSource({}, env);
  if (typeof url === "string") return url;
  throw new CliError(EXIT.config, `${need}, and no Postgres is named.`, {
    advice: "Set DATABASE_URL, as in DATABASE_URL=postgres://localhost:5432/app, or give --database URL.",
  });
}

/** A connection that ends with the block that opened it. */
export interface OpenRedis extends Disposable {
  readonly redis: Redis;
  readonly namespace: string;
  readonly url: string;
  /** Another connection to the same server, for blocking reads. */
  another(): Promise<Redis>;
}

/** Connects to Redis. Throws CliError, with where and why, when it does not answer in time. */
export async function connectRedis(env: Environment): Promise<OpenRedis> {
  const url = redisUrl(env);
  const namespace = namespaceOf(env);
  const opened: Redis[] = [];
  const another = async () => {
    const redis = await connect(url);
    opened.push(redis);
    return redis;
  };
  const redis = await another();
  return {
    redis,
    namespace,
    url,
    another,
    [Symbol.dispose]: () => {
      for (const one of opened) one.disconnect();
    },
  };
}

async function connect(url: string): Promise<Redis> {
  let last: Error | undefined;
  const redis = await openRedis(url, "tool", (error) => {
    last = error;
  });
  if (await answers(redis)) return redis;
  redis.disconnect();
  throw unreachable(url, last);
}

/** The first refusal is the answer: a tool that is used by hand does not wait for a server to come up. */
function answers(redis: Redis): Promise<boolean> {
  const refused = new Promise<false>((resolve) => redis.once("error", () => resolve(false)));
  return Promise.race([ready(redis, PATIENCE_MS), refused]);
}

/** Connections to the servers of the locks, that end with the block that opened them. */
export interface LockServers extends Disposable {
  /** All of them; what is asked of one that is away fails. */
  readonly servers: readonly Redis[];
  readonly awayCount: number;
}

/** Connects to the servers that TASKTRAIL_LOCKS names; undefined when it names none: then locks are where the queues are. Throws InvalidOption. */
export async function connectLocks(env: Environment): Promise<LockServers | undefined> {
  const { locks } = schedulerSettings({}, env);
  if (locks === undefined) return undefined;
  const servers = await Promise.all(locks.map((url) => openRedis(url, "tool", () => {})));
  const isAway = await Promise.all(servers.map(async (redis) => !(await answers(redis))));
  for (const [index, redis] of servers.entries()) if (isAway[index]) redis.disconnect();
  return {
    servers,
    awayCount: isAway.filter(Boolean).length,
    [Symbol.dispose]: () => {
      for (const redis of servers) redis.disconnect();
    },
  };
}

/** Why Redis cannot be used, with what to do. */
export function unreachable(url: string, cause: Error | undefined): CliError {
  const { code } = (cause ?? {}) as { code?: string };
  const said = cause === undefined ? `no answer within ${PATIENCE_MS / 1_000} s` : (code ?? cause.message);
  if (refusal(cause) === "denied") {
    return new CliError(EXIT.denied, `Redis at ${redacted(url)} refused the login: ${cause?.message}`, {
      advice: "Put user and password into REDIS_URL, as in redis://user:password@host:6379.",
      cause,
    });
  }
  return new CliError(EXIT.unavailable, `Redis at ${redacted(url)} does not answer: ${said}.`, {
    advice: "Start it, name another with REDIS_URL or --redis, or check the network in between.",
    cause,
  });
}
