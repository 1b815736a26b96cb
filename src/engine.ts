import type { Redis } from "ioredis";
import type { Purpose } from "../streams/connect.ts";
import type { Lane } from "../streams/lane.ts";
import type { Clock } from "./clock.ts";
import type { Broker, BrokerOptions, LoggerLike } from "./define/broker.ts";
import type { AnyDefinition } from "./define/projection.ts";
import type { EnginePort } from "./define/schedules.ts";
import type { Subscription } from "./define/subscription.ts";
import type { TaskRecord } from "./define/task.ts";
import { invalidOption } from "./errors.ts";
import type { Middleware, Notice } from "./middleware.ts";

/** What a broker is inside: what workers, schedulers and projectors build on. */
export interface Engine {
  readonly broker: Broker & { readonly options: BrokerOptions };
  readonly options: BrokerOptions;
  /** Read from options and environment at first use. */
  readonly namespace: string;
  readonly maxPayloadBytes: number;
  /** postgres URL or factory, from options or DATABASE_URL; undefined when there is none. */
  readonly database: string | (() => unknown) | undefined;
  readonly clock: Clock;
  readonly logger: LoggerLike;
  /** This life of this process. */
  readonly incarnation: string;
  /** Every task, cron and implemented contract declared on the broker, duplicates included. */
  readonly records: readonly TaskRecord[];
  /** The projections that the broker has the projector keep, one of each name: the last. */
  readonly projections: readonly AnyDefinition[];
  /** The task that is registered under a name. */
  task(name: string): TaskRecord | undefined;
  /** Every subscription declared on the broker; of a topic and group that was declared twice, the last. */
  readonly subscriptions: readonly Subscription[];
  /** Every queue that a record names, sorted. */
  queues(): readonly string[];
  /** Opens a connection of the caller's own (not connected yet; `ready()` of streams/connect.ts connects). The caller closes it. */
  connect(purpose: Purpose): Promise<Redis>;
  /** The dispatch lane of a queue, on the broker's shared connection. */
  lane(queue: string): Promise<Lane>;
  /** Tells relays that a transaction with dispatches has committed. Best effort; never throws. */
  ringBell(): void;
  readonly port: EnginePort;
  /** Has another port answer for all tasks of the broker, until disposed. For tests. */
  standIn(port: EnginePort): Disposable;
  readonly middleware: readonly Middleware[];
  announce(notice: Notice): void;
}

const ENGINE = Symbol.for("tasktrail.engine");

/** Puts an engine inside its broker. Known by a global symbol: the command line may be another copy of the package. */
export function attachEngine(broker: object, engine: Engine): void {
  Object.defineProperty(broker, ENGINE, { value: engine, enumerable: false });
}

/** The engine inside a broker. Throws InvalidOption when it is none of ours. */
export function engineOf(broker: unknown): Engine {
  const engine = (broker as Record<symbol, Engine | undefined> | null | undefined)?.[ENGINE];
  if (engine === undefined) throw invalidOption("broker", "this is not a broker: pass what createBroker() returned");
  return engine;
}

/** True for what `createBroker` made, whichever copy of the package that was. */
export function isBroker(value: unknown): value is Broker {
  return typeof value === "object" && value !== null && ENGINE in value;
}
