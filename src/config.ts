import { isKeyPart } from "../streams/keys.ts";
import { DEFAULTS, KEY_PART_RULE } from "./defaults.ts";
import type { BrokerOptions, Durability } from "./define/broker.ts";
import { type Duration, durationMs } from "./define/duration.ts";
import { checkKeys, checkObject, oneOf, shown, wholeNumber } from "./define/options.ts";
import type { SchedulerOptions, WorkerOptions } from "./define/role.ts";
import type { Override } from "./di/provider.ts";
import { invalidOption } from "./errors.ts";
import { type LogLevel, logLevelOf } from "./log-level.ts";
import { checkServerUrl } from "./server-url.ts";

/** Environment variables, as in `process.env`. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** Where a server is: its URL, or a function that makes a client of it. */
export type ServerSource = string | (() => unknown);

const brokerKeys = [
  "redis",
  "database",
  "namespace",
  "logger",
  "defaults",
  "enqueueTimeout",
  "durability",
  "maxPayloadBytes",
];
const durabilities = ["async", "replicated", "fsynced"] as const satisfies readonly Durability[];
const workerKeys = [
  "queues",
  "concurrency",
  "lease",
  "shutdownGrace",
  "maxDeliveries",
  "unknownTaskGrace",
  "maxBlock",
  "keepLedgerBytes",
  "locks",
  "overrides",
];

/** A variable's value; undefined when it is not set, or set to nothing, as Compose files do for a missing one. */
function variable(env: Environment, name: string): string | undefined {
  const text = env[name]?.trim();
  return text === "" ? undefined : text;
}

/** What a variable lists, with commas. */
function listed(env: Environment, name: string): string[] | undefined {
  const all = variable(env, name)
    ?.split(",")
    .map((one) => one.trim());
  return all?.filter((one) => one !== "");
}

/** Throws InvalidOption for an option that no broker has, or whose value is of the wrong kind. Reads no variable. */
export function checkBrokerOptions(options: BrokerOptions): void {
  checkObject("options", options);
  checkKeys("createBroker", options, brokerKeys);
  for (const name of ["redis", "database"] as const) {
    const source: unknown = options[name];
    if (source !== undefined && typeof source !== "string" && typeof source !== "function") {
      throw invalidOption(name, `${shown(source)} is neither a URL nor a function that makes a client`);
    }
  }
  durabilityOf(options);
  if (options.logger !== undefined && typeof options.logger?.child !== "function") {
    throw invalidOption("logger", "not a logger: pass pino(), or an object with debug, info, warn, error and child");
  }
}

/** What a dispatch waits for. Throws InvalidOption. */
export function durabilityOf(options: BrokerOptions): Durability {
  return oneOf("durability", options.durability ?? DEFAULTS.durability, durabilities);
}

/** Where Redis is, by the option or REDIS_URL. Throws InvalidOption, with passwords hidden, when neither makes sense. */
export function redisSource(options: BrokerOptions, env: Environment): ServerSource {
  const source = options.redis ?? variable(env, "REDIS_URL");
  if (source === undefined) {
    throw invalidOption(
      "redis",
      'no Redis is named: set REDIS_URL, as in REDIS_URL=redis://localhost:6379, or pass createBroker({ redis: "redis://…" })',
    );
  }
  if (typeof source === "string") checkServerUrl(options.redis === undefined ? "REDIS_URL" : "redis", source, "redis");
  return source;
}

/** Where Postgres is, by the option or DATABASE_URL; undefined when neither is given. Throws InvalidOption, with passwords hidden. */
export function databaseSource(options: BrokerOptions, env: Environment): ServerSource | undefined {
  const source = options.database ?? variable(env, "DATABASE_URL");
  if (typeof source === "string") {
    checkServerUrl(options.database === undefined ? "DATABASE_URL" : "database", source, "postgres");
  }
  return source;
}

/** What a broker works with, apart from its servers. */
export interface BrokerSettings {
  readonly namespace: string;
  readonly logLevel: LogLevel;
  readonly enqueueTimeoutMs: number;
  readonly maxPayloadBytes: number;
}

/** A broker's options, variables and defaults put together. To be called at first use, not at import: `dotenv` may come later. */
export function brokerSettings(options: BrokerOptions, env: Environment): BrokerSettings {
  checkBrokerOptions(options);
  const maxPayloadBytes = options.maxPayloadBytes ?? DEFAULTS.maxPayloadBytes;
  return {
    namespace: namespaceOf(options, env),
    // Read when it is asked for: whoever brings a logger of their own may have words of their own in LOG_LEVEL.
    get logLevel() {
      return logLevelOf(variable(env, "LOG_LEVEL"));
    },
    enqueueTimeoutMs: lengthOf("enqueueTimeout", options.enqueueTimeout, DEFAULTS.enqueueTimeoutMs, 1),
    // Redis itself takes no value over 512 MB, and a worker holds many inputs at once.
    maxPayloadBytes: wholeNumber("maxPayloadBytes", maxPayloadBytes, { least: 1, most: 64 * 1_048_576 }),
  };
}

function namespaceOf(options: BrokerOptions, env: Environment): string {
  const namespace: unknown = options.namespace ?? variable(env, "TASKTRAIL_NAMESPACE") ?? DEFAULTS.namespace;
  const name = options.namespace === undefined ? "TASKTRAIL_NAMESPACE" : "namespace";
  if (typeof namespace === "string" && isKeyPart(namespace)) return namespace;
  throw invalidOption(name, `${shown(namespace)} cannot be part of a key: ${KEY_PART_RULE}`);
}

/** What a worker works with. */
export interface WorkerSettings {
  /** Undefined: every queue that a task of the broker names. */
  readonly queues: readonly string[] | undefined;
  readonly concurrency: number;
  readonly leaseMs: number;
  readonly shutdownGraceMs: number;
  readonly maxDeliveries: number;
  readonly unknownTaskGraceMs: number;
  readonly maxBlockMs: number;
  readonly keepLedgerBytes: number;
  /** Undefined: on the broker's own Redis. */
  readonly locks: readonly string[] | undefined;
  readonly overrides: readonly Override[];
}

/** A worker's options, variables and defaults put together. Throws InvalidOption. */
export function workerSettings(options: WorkerOptions, env: Environment): WorkerSettings {
  checkObject("options", options);
  checkKeys("createWorker", options, workerKeys);
  const { maxDeliveries = DEFAULTS.maxDeliveries, overrides = [] } = options;
  for (const one of overrides) {
    if (one?.kind !== "tasktrail.override")
      throw invalidOption("overrides", "takes what override(provider, value) gives");
  }
  return {
    queues: queuesOf(options, env),
    concurrency: concurrencyOf(options, env),
    leaseMs: lengthOf("lease", options.lease, DEFAULTS.leaseMs, 100),
    shutdownGraceMs: lengthOf("shutdownGrace", options.shutdownGrace, DEFAULTS.shutdownGraceMs, 0),
    maxDeliveries: wholeNumber("maxDeliveries", maxDeliveries, { least: 1, most: 1_000 }),
    unknownTaskGraceMs: lengthOf("unknownTaskGrace", options.unknownTaskGrace, DEFAULTS.unknownTaskGraceMs, 0),
    maxBlockMs: lengthOf("maxBlock", options.maxBlock, DEFAULTS.maxBlockMs, 1_000),
    keepLedgerBytes: wholeNumber("keepLedgerBytes", options.keepLedgerBytes ?? DEFAULTS.keepTailBytes, {
      least: 1,
      most: Number.MAX_SAFE_INTEGER,
    }),
    locks: locksOf(options, env),
    overrides,
  };
}

function queuesOf(options: WorkerOptions, env: Environment): readonly string[] | undefined {
  const name = options.queues === undefined ? "TASKTRAIL_QUEUES" : "queues";
  const queues: unknown = options.queues ?? listed(env, "TASKTRAIL_QUEUES");
  if (queues === undefined) return undefined;
  if (!Array.isArray(queues) || queues.length === 0) throw invalidOption(name, "names no queue");
  for (const queue of queues) {
    if (typeof queue !== "string" || !isKeyPart(queue)) {
      throw invalidOption(name, `${shown(queue)} cannot be a queue: ${KEY_PART_RULE}`);
    }
  }
  return [...new Set(queues as string[])];
}

function concurrencyOf(options: WorkerOptions, env: Environment): number {
  const text = variable(env, "TASKTRAIL_CONCURRENCY");
  const range = { least: 1, most: 10_000 };
  if (options.concurrency !== undefined) return wholeNumber("concurrency", options.concurrency, range);
  if (text === undefined) return DEFAULTS.concurrency;
  return wholeNumber("TASKTRAIL_CONCURRENCY", /^\d+$/.test(text) ? Number(text) : text, range);
}

/** Where the scheduler's locks are; undefined: on the broker's own Redis. Throws InvalidOption. */
export function schedulerSettings(options: SchedulerOptions, env: Environment): Pick<WorkerSettings, "locks"> {
  checkObject("options", options);
  checkKeys("createScheduler", options, ["locks"]);
  return { locks: locksOf(options, env) };
}

function locksOf(options: Pick<SchedulerOptions, "locks">, env: Environment): readonly string[] | undefined {
  const name = options.locks === undefined ? "TASKTRAIL_LOCKS" : "locks";
  const locks: unknown = options.locks ?? listed(env, "TASKTRAIL_LOCKS");
  if (locks === undefined) return undefined;
  if (!Array.isArray(locks) || locks.length % 2 === 0) {
    // With an even number, two that ask can each get half of the votes, and Redlock then waits for ever.
    throw invalidOption(name, "takes an odd number of Redis URLs");
  }
  for (const url of locks) checkServerUrl(name, url, "redis");
  return locks;
}

/** How long an option says, in ms. Throws InvalidOption when that is too short. */
export function lengthOf(option: string, value: Duration | undefined, otherwiseMs: number, leastMs: number): number {
  if (value === undefined) return otherwiseMs;
  const ms = durationMs(value, option);
  if (ms < leastMs) throw invalidOption(option, `"${value}" is too short: at least "${leastMs}ms"`);
  return ms;
}
