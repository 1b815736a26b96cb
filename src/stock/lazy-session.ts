import { EventEmitter } from "node:events";
import type { DatabaseTransactionConnection } from "slonik";
import { providerMisused } from "../errors.ts";

/** What runs statements in a transaction; and `transaction`, which nests. */
const METHODS = [
  "any",
  "anyFirst",
  "exists",
  "many",
  "manyFirst",
  "maybeOne",
  "maybeOneFirst",
  "one",
  "oneFirst",
  "query",
  "record",
  "stream",
  "transaction",
] as const satisfies readonly (keyof DatabaseTransactionConnection)[];
const EVENTS = ["commit", "rollback", "savepoint", "rollbackToSavepoint"] as const;

/** A transaction that is begun by its first statement. */
export interface LazySession {
  readonly session: DatabaseTransactionConnection;
  /** Commits, or rolls back with the error; waits for statements that nobody awaited. Nothing has begun: does nothing. */
  commit(): Promise<void>;
  rollback(error: unknown): Promise<void>;
}

/** How transactions are made. */
export interface Transactions {
  /** Begins a transaction; commits when `work` has resolved, rolls back when it rejects. Runs `work` once. */
  begin(work: (transaction: DatabaseTransactionConnection) => Promise<void>): Promise<void>;
  /** A statement that fails if an earlier one has failed: Postgres would turn the commit into a rollback, and say nothing. */
  probe(transaction: DatabaseTransactionConnection): Promise<unknown>;
}

/** An open transaction, and how to end it. */
interface Open {
  readonly transaction: Promise<DatabaseTransactionConnection>;
  /** Settles once Postgres has committed, or rolled back. */
  readonly ended: Promise<void>;
  readonly end: (outcome: Promise<void>) => void;
  /** The transaction; undefined until Postgres has let us in. */
  readonly current: () => DatabaseTransactionConnection | undefined;
}

/** Makes a session on which nothing is begun yet. A handler that does not use it costs no connection. */
export function openLazySession(transactions: Transactions): LazySession {
  const front = new EventEmitter();
  const running = new Set<Promise<unknown>>();
  let open: Open | undefined;
  let isOver = false;
  let failure: { readonly error: unknown } | undefined;

  const begun = (): Open => {
    open ??= begin(transactions, front);
    return open;
  };
  const run = (method: (typeof METHODS)[number], args: readonly unknown[]): Promise<unknown> => {
    if (isOver) return Promise.reject(sessionOver());
    const answer = begun().transaction.then((transaction) =>
      (transaction[method] as (...args: readonly unknown[]) => Promise<unknown>)(...args),
    );
    running.add(answer);
    answer.then(
      () => running.delete(answer),
      (error: unknown) => {
        running.delete(answer);
        failure ??= { error };
      },
    );
    return answer;
  };
  const settle = async (check: (transaction: DatabaseTransactionConnection) => Promise<void>) => {
    while (running.size > 0) await Promise.allSettled(running);
    isOver = true;
    if (open === undefined) return;
    const { transaction, ended, end } = open;
    end(transaction.then(check));
    await ended;
  };

  const methods = Object.fromEntries(METHODS.map((name) => [name, (...args: unknown[]) => run(name, args)]));
  const session = Object.assign(front, methods) as unknown as DatabaseTransactionConnection;
  for (const name of ["connectionId", "transactionDepth", "transactionId"] as const) {
    Object.defineProperty(session, name, { get: () => open?.current()?.[name] });
  }
  return {
    session,
    commit: () =>
      settle(async (transaction) => {
        if (failure === undefined) return;
        const { error } = failure;
        await transactions.probe(transaction).catch(() => Promise.reject(cannotCommit(error)));
      }),
    rollback: (error) =>
      settle(() => Promise.reject(error)).catch((thrown: unknown) => {
        if (thrown !== error) throw thrown;
      }),
  };
}

function begin({ begin: beginOne }: Transactions, front: EventEmitter): Open {
  const transaction = Promise.withResolvers<DatabaseTransactionConnection>();
  const outcome = Promise.withResolvers<void>();
  let current: DatabaseTransactionConnection | undefined;
  const ended = beginOne(async (begun) => {
    current = begun;
    for (const event of EVENTS) begun.on(event, (details: object) => front.emit(event, details));
    transaction.resolve(begun);
    await outcome.promise;
  });
  ended.catch(transaction.reject); // of no effect once it has begun
  // Whoever ran a statement has the error of the beginning, and whoever closes the session that of the end.
  for (const promise of [transaction.promise, outcome.promise]) promise.catch(() => {});
  return { transaction: transaction.promise, ended, end: outcome.resolve, current: () => current };
}

function sessionOver() {
  return providerMisused(
    "The session of this run is over: its handler had returned before this statement. Await every statement in the handler.",
  );
}

function cannotCommit(cause: unknown) {
  return providerMisused(
    "The session cannot commit: one of its statements had failed, and Postgres takes nothing back from a failed transaction but all of it. Let the error be thrown, or put statements that may fail into session.transaction(…), which sets a savepoint.",
    { cause },
  );
}
