// tasktrail/deps: the stock providers. slonik, pino and ioredis are loaded by their first use, never by importing this.
import type { Redis } from "ioredis";
import type { Logger as PinoLogger } from "pino";
import type { DatabasePool, DatabaseTransactionConnection } from "slonik";
import type { SqlSession } from "./define/session.ts";
import type { EventPublisher } from "./define/topic.ts";
import { getBroker, getRun } from "./di/leaves.ts";
import { type Provider, provider } from "./di/provider.ts";
import { engineOf } from "./engine.ts";
import { invalidOption } from "./errors.ts";
import { listener, overhear } from "./overhear.ts";
import {
  createEventPublisher,
  getOutgoing,
  type PublishedEvent,
  publishNow,
  writeEvents,
} from "./stock/event-publisher.ts";
import { openLazySession, type Transactions } from "./stock/lazy-session.ts";
import { timeoutOf } from "./stock/timeouts.ts";
import { openUserRedis } from "./stock/user-redis.ts";
import { getWorkerInfo } from "./stock/worker-info.ts";

// Interfaces of our own, so that declaration files made from a user's tasks name this module and not slonik, ioredis or pino.
/** A slonik pool. */
export interface DbPool extends DatabasePool {}
/** A slonik transaction. */
export interface DbSession extends DatabaseTransactionConnection {}
/** pino, bound to run, task, attempt, queue, worker and trace id. */
export interface Logger extends PinoLogger {}
/** An ioredis client. */
export interface RedisClient extends Redis {}

/** A statement may take a little longer than its task, so that it is the task's own timeout that people read of. */
const TIMEOUT_MARGIN_MS = 5_000;

/**
 * The worker's pool: as many sessions as it runs handlers at once. Each statement commits by itself. Opened by the first
 * run that needs it; closed when the worker stops, unless the pool is one of yours.
 */
export const getPool: Provider<DbPool, "worker"> = provider({
  scope: "worker",
  deps: { broker: getBroker, worker: getWorkerInfo },
  async provide({ broker, worker }, use) {
    const { database } = engineOf(broker);
    if (database === undefined) {
      throw invalidOption(
        "database",
        'getPool and getDbSession need Postgres: set DATABASE_URL, or pass createBroker({ database: "postgres://…" })',
      );
    }
    const { poolFrom } = await import("../sql/pool.ts");
    const limitMs = worker.maxTimeoutMs + TIMEOUT_MARGIN_MS;
    const { pool, isOurs } = await poolFrom(database, {
      size: worker.concurrency,
      statementTimeoutMs: limitMs,
      idleInTransactionTimeoutMs: limitMs,
    });
    try {
      return await use(pool as DbPool);
    } finally {
      if (isOurs) await pool.end();
    }
  },
});

/**
 * A transaction, begun by its first statement; commits when the handler returns, rolls back when it throws. slonik's own
 * re-run of transactions is off: the task's retry is the retry. Statements, and waits between them, are limited to the task's timeout.
 */
export const getDbSession: Provider<DbSession, "run"> = provider({
  deps: { pool: getPool, broker: getBroker, worker: getWorkerInfo, run: getRun, outgoing: getOutgoing },
  async provide({ pool, broker, worker, run, outgoing }, use) {
    const engine = engineOf(broker);
    const timeoutMs = timeoutOf(engine, run.task);
    const isShorter = timeoutMs < worker.maxTimeoutMs;
    const lazy = openLazySession(await transactionsOf(pool, isShorter ? timeoutMs + TIMEOUT_MARGIN_MS : undefined));
    outgoing.hasSession = true;
    const inside = async () => {
      const used = await use(lazy.session as DbSession);
      await writeEvents(engine, lazy.session, outgoing.events);
      return used;
    };
    const used = await inside().catch(async (error: unknown) => {
      await lazy.rollback(error);
      throw error;
    });
    await lazy.commit();
    if (outgoing.events.length > 0) engine.ringBell();
    return used;
  },
});

async function transactionsOf(pool: DbPool, limitMs: number | undefined): Promise<Transactions> {
  const [{ transactionOnce }, { statement }] = await Promise.all([
    import("../sql/pool.ts"),
    import("../sql/statement.ts"),
  ]);
  return {
    begin: (work) =>
      transactionOnce(pool, async (transaction) => {
        if (limitMs !== undefined) {
          const limits =
            "select set_config('statement_timeout', $1, true), set_config('idle_in_transaction_session_timeout', $1, true)";
          await transaction.query(statement(limits, [`${limitMs}`]));
        }
        await work(transaction);
      }),
    probe: (transaction) => transaction.query(statement("select 1", [])),
  };
}

/** A logger whose every line carries the run: id, task, attempt, queue, worker, and trace id when there is one. A child of the broker's logger. */
export const getLogger: Provider<Logger, "run"> = provider({
  deps: { broker: getBroker, worker: getWorkerInfo, run: getRun },
  async provide({ broker, worker, run }, use) {
    const bindings = { ...run.bindings, queue: run.queue, worker: worker.worker };
    const { logger, middleware } = engineOf(broker);
    const hear = listener(middleware);
    const child = logger.child(bindings) as Logger;
    return use(hear === undefined ? child : overhear(child, bindings, hear));
  },
});

/** The worker's command connection, with what ioredis does by default; for blocking commands take `redis.duplicate()`. */
export const getRedis: Provider<RedisClient, "worker"> = provider({
  scope: "worker",
  deps: { broker: getBroker },
  async provide({ broker }, use) {
    const { client, close } = await openUserRedis(engineOf(broker));
    try {
      return await use(client as RedisClient);
    } finally {
      await close();
    }
  },
});

/**
 * Publishes domain events. Beside `getDbSession` they are written into the session and commit with it: a relay takes them to their topics,
 * whatever crashes. Without it they are published once the handler has returned; an attempt whose events cannot be published fails.
 */
export const getEventPublisher: Provider<EventPublisher, "run"> = provider({
  deps: { broker: getBroker, redis: getRedis, run: getRun, outgoing: getOutgoing },
  async provide({ broker, redis, run, outgoing }, use) {
    const engine = engineOf(broker);
    const { events } = outgoing;
    const onFirst = () => {
      if (!outgoing.hasSession) run.onCommit(() => publishNow(engine, redis, events.splice(0)));
    };
    return use(createEventPublisher({ engine, run, events, onFirst }));
  },
});

/** A publisher that writes into a session of your own (Prisma, Drizzle, Kysely, pg): its events commit with that. */
export function eventPublisher(session: Provider<SqlSession, "run">): Provider<EventPublisher, "run"> {
  return provider({
    deps: { session, broker: getBroker, run: getRun },
    async provide({ session: open, broker, run }, use) {
      const engine = engineOf(broker);
      const events: PublishedEvent[] = [];
      const onFirst = () => run.onCommit(engine.ringBell);
      const used = await use(createEventPublisher({ engine, run, events, onFirst }));
      await writeEvents(engine, open, events);
      return used;
    },
  });
}
