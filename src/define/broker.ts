// biome-ignore-all lint/suspicious/noExplicitAny: what is inferred has to be left open, and `unknown` would close it
// biome-ignore-all lint/complexity/noBannedTypes: `{}` is what a task without dependencies needs, and how editors show it
import type { LedgerEvent } from "../../streams/events.ts";
import type { Deps, Values } from "../di/provider.ts";
import type { RunHandle } from "../run.ts";
import type { Contract } from "./contract.ts";
import type { Dispatcher, TaskRef } from "./dispatch.ts";
import type { Duration } from "./duration.ts";
import type { JsonCheck } from "./json-check.ts";
import type { LedgerQuery } from "./ledger-query.ts";
import type { Policies } from "./policy.ts";
import type { Projection } from "./projection.ts";
import type { Schedules } from "./schedules.ts";
import type { InputOf, Schema } from "./schema.ts";
import type { SubscriptionOptions } from "./subscription.ts";
import type { Task, TaskDefinition, TaskHost } from "./task.ts";
import type { Subscribable } from "./topic.ts";

/** A logger; pino fits as it is. */
export interface LoggerLike {
  debug(bindings: object, message?: string): void;
  info(bindings: object, message?: string): void;
  warn(bindings: object, message?: string): void;
  error(bindings: object, message?: string): void;
  child(bindings: Record<string, unknown>): LoggerLike;
  /** Whether lines of a level are written at all. Default: yes. */
  isLevelEnabled?(level: string): boolean;
}

/**
 * What a dispatch waits for before it resolves. "async": Redis has it in memory, and on disk or elsewhere as it is set up to.
 * "replicated": at least one replica has it, too (WAIT). "fsynced": it is on Redis' own disk (WAITAOF, Redis 7.2 or newer).
 */
export type Durability = "async" | "replicated" | "fsynced";

/** What a broker may be told. All of it is read at first use. */
export interface BrokerOptions {
  /** `redis://…`, `rediss://…`, or a function that makes an ioredis client (called once per connection that the engine needs). Default: REDIS_URL. */
  readonly redis?: string | (() => unknown) | undefined;
  /** `postgres://…`, or a function that makes a slonik pool. Opened by the projector, the relay and `getDbSession`; never by a dispatch. Default: DATABASE_URL. */
  readonly database?: string | (() => unknown) | undefined;
  /** First part of every Redis key. Default: TASKTRAIL_NAMESPACE, else "tasktrail". */
  readonly namespace?: string | undefined;
  /** Root logger; pino fits as it is. Default: pino to stderr at LOG_LEVEL, else "info". */
  readonly logger?: LoggerLike | undefined;
  /** Policies of tasks that do not state their own. */
  readonly defaults?: Policies | undefined;
  /** How long a dispatch waits for Redis before EnqueueFailed. Default "5s". */
  readonly enqueueTimeout?: Duration | undefined;
  /**
   * What a dispatch waits for, within the enqueueTimeout. When that does not come about it fails with EnqueueFailed, ambiguous: the run is
   * written, and may be lost with the server. A server that cannot do it is refused with InvalidOption. Default "async".
   */
  readonly durability?: Durability | undefined;
  /** Largest input and largest result, in bytes of JSON. Default 262144 (256 KiB). */
  readonly maxPayloadBytes?: number | undefined;
}

/**
 * Where tasks are declared and dispatched from. Opens nothing, and reads no variable, before its first use.
 * Its dispatch connection holds no process alive and closes after a minute without use; `close()` is for tests and for shutdown hooks.
 */
export interface Broker extends TaskHost, AsyncDisposable {
  /** Declares a task with its handler. The result's type is the handler's; a stated one is a `contract`. */
  task<I extends Schema<any, any> = Schema<undefined>, D extends Deps = {}, Result = void>(
    definition: TaskDefinition<I, D, Result> &
      JsonCheck<InputOf<I>, "input", "input"> &
      JsonCheck<Result, "run", "result">,
  ): Task<InputOf<I>, Result, Values<D>>;
  /** Dispatches contracts whose handlers live elsewhere: `const { sendInvoice } = broker.bind(contracts)`. */
  bind<Contracts extends Record<string, Contract<any, any, any, any>>>(
    contracts: Contracts,
  ): {
    readonly [K in keyof Contracts]: Contracts[K] extends Contract<infer Input, any, any, infer Final>
      ? TaskRef<Input, Final>
      : never;
  };
  /**
   * Turns each event of a topic into a run of `task`: once per event and group, durably, in the order of the topic. Done by relays, and
   * so by projectors, whose process has declared it. Throws InvalidOption for what cannot be.
   */
  on<Payload>(
    source: Subscribable<Payload>,
    task: Dispatcher<NoInfer<Payload>, unknown>,
    options?: SubscriptionOptions,
  ): void;
  /** Has the projector keep this table. Throws InvalidOption for what `defineProjection` did not make. */
  project(projection: Projection<unknown>): void;
  /** Schedules made at run time. Those of `cron()` are listed here too. */
  readonly schedules: Schedules;
  /** A hold on any run, by its id. */
  handle(id: string): RunHandle<unknown>;
  /** The ledger, oldest first: what is archived in Postgres, when the broker has one, and then Redis' tail. `follow` waits for more until the signal is aborted. Throws InvalidOption. */
  events(query?: LedgerQuery): AsyncIterable<LedgerEvent>;
  /** Sends what is pending and closes what was opened. */
  close(): Promise<void>;
}
