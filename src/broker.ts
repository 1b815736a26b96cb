import type { Redis } from "ioredis";
import { openRedis, type Purpose } from "../streams/connect.ts";
import { newIncarnation } from "../streams/lane.ts";
import { systemClock } from "./clock.ts";
import {
  type BrokerSettings,
  brokerSettings,
  checkBrokerOptions,
  databaseSource,
  redisSource,
  type ServerSource,
} from "./config.ts";
import type { Broker, BrokerOptions } from "./define/broker.ts";
import { makeCronTask } from "./define/cron.ts";
import { declareContract, declareTask } from "./define/declare.ts";
import { checkQuery, type LedgerQuery } from "./define/ledger-query.ts";
import { makeSchedules } from "./define/make-schedules.ts";
import { definitionOf } from "./define/projection.ts";
import { createRegistry, type Registry } from "./define/registry.ts";
import { declareSubscription, type SubscriptionOptions } from "./define/subscription.ts";
import { makeTask, makeTaskRef } from "./define/task.ts";
import { attachEngine, type Engine } from "./engine.ts";
import { createDispatching, type Dispatching } from "./enqueue/dispatching.ts";
import { switchable } from "./enqueue/stand-in.ts";
import { invalidOption } from "./errors.ts";
import { announceTo, type LogLine, type Middleware, type Notice, processMiddleware } from "./middleware.ts";
import { createObserver } from "./observe.ts";
import { listener } from "./overhear.ts";
import { createDefaultLogger } from "./stock/default-logger.ts";

/**
 * Where tasks are declared and dispatched from. Opens nothing, and reads no variable, before its first use.
 * Throws InvalidOption for an option that no broker has.
 */
export function createBroker(options: BrokerOptions = {}): Broker {
  checkBrokerOptions(options);
  const registry = createRegistry();
  const broker = {} as Broker & { readonly options: BrokerOptions };
  Object.defineProperty(broker, "options", { value: options });
  const { engine, close } = createEngine(broker, registry);
  attachEngine(broker, engine);
  return Object.assign(broker, {
    register(definition: object) {
      const record = declareTask(definition);
      registry.add(record);
      return record.cron === undefined
        ? makeTask(record, engine.port)
        : makeCronTask(record, engine.port, engine.clock);
    },
    task: (definition: object) => broker.register(definition),
    bind: (contracts: Readonly<Record<string, unknown>>) =>
      Object.fromEntries(
        Object.entries(contracts).map(([name, one]) => [name, makeTaskRef(declareContract(name, one), engine.port)]),
      ),
    on(source: unknown, task: unknown, options?: SubscriptionOptions) {
      registry.subscribe(declareSubscription(source, task, options));
    },
    schedules: makeSchedules(engine.port.schedules),
    handle: (id: string) => engine.port.handle(undefined, id),
    project: (projection: unknown) => registry.project(definitionOf(projection)),
    events: (query?: LedgerQuery) => engine.port.events(checkQuery(query)),
    close,
    [Symbol.asyncDispose]: close,
  }) as Broker;
}

/** What a broker is inside, and how to close what it has opened. */
function createEngine(
  broker: Engine["broker"],
  registry: Registry,
): { readonly engine: Engine; readonly close: () => Promise<void> } {
  const { options } = broker;
  const settings = lazily(() => brokerSettings(options, process.env));
  const logger = options.logger ?? createDefaultLogger(() => settings().logLevel);
  const hear = (line: LogLine) => listener(processMiddleware())?.(line);
  const middleware = withProcess(createObserver(logger, { hear }));
  const announce = (notice: Notice) => announceTo(middleware(), notice);
  const incarnation = newIncarnation();
  const engine: Engine = {
    broker,
    options,
    get namespace() {
      return settings().namespace;
    },
    get maxPayloadBytes() {
      return settings().maxPayloadBytes;
    },
    get database() {
      return databaseSource(options, process.env);
    },
    clock: systemClock,
    logger,
    incarnation,
    get records() {
      return registry.declarations();
    },
    get projections() {
      return registry.projections();
    },
    get subscriptions() {
      return registry.subscriptions();
    },
    task: registry.get,
    queues: registry.queues,
    connect: createConnect(options, announce),
    lane: (queue) => dispatching.lane(queue),
    ringBell: () => dispatching.ringBell(),
    get port() {
      return ports.port;
    },
    standIn: (port) => ports.standIn(port),
    get middleware() {
      return middleware();
    },
    announce,
  };
  const dispatching: Dispatching = createDispatching(engine, () => settings().enqueueTimeoutMs);
  const ports = switchable(dispatching.port);
  return { engine, close: dispatching.close };
}

/** Makes connections whose troubles are told of: when they begin, and once they are over. */
function createConnect(options: BrokerOptions, announce: (notice: Notice) => void): Engine["connect"] {
  const made = new WeakSet<Redis>();
  return async (role) => {
    let isAway = false;
    const client = await open(redisSource(options, process.env), role, (error) => {
      isAway = true;
      announce({ kind: "redis.away", role, error });
    });
    if (made.has(client)) {
      // A blocking read on it would hold up every dispatch behind it.
      throw invalidOption("redis", "the function has to make a new client each time: () => new Redis(…)");
    }
    made.add(client);
    client.on("ready", () => {
      if (isAway) announce({ kind: "redis.back", role });
      isAway = false;
    });
    return client;
  };
}

/** What is wrong with a client of the user's making is wrong with an option. */
async function open(source: ServerSource, role: Purpose, onError: (error: Error) => void): Promise<Redis> {
  try {
    return await openRedis(source, role, onError);
  } catch (cause) {
    throw invalidOption("redis", cause instanceof Error ? cause.message : String(cause), { cause });
  }
}

/** Those of the process' middleware that listen, of which there may be more later, and after them our own. */
function withProcess(own: Middleware): () => readonly Middleware[] {
  let all: readonly Middleware[] = [own];
  return () => {
    const shared = processMiddleware();
    let count = 0;
    for (const one of shared) if (listens(one) && all[count++] !== one) return gather(shared);
    return count === all.length - 1 ? all : gather(shared);
  };
  function gather(shared: readonly Middleware[]): readonly Middleware[] {
    all = [...shared.filter(listens), own];
    return all;
  }
}

function listens(one: Middleware): boolean {
  return one.isIdle?.() !== true;
}

function lazily(read: () => BrokerSettings): () => BrokerSettings {
  let settings: BrokerSettings | undefined;
  return () => {
    settings ??= read();
    return settings;
  };
}
