import { AsyncLocalStorage } from "node:async_hooks";
import { createPool, type DatabasePool, type DatabaseTransactionConnection } from "slonik";
import type { Session } from "./statement.ts";
import { describeDatabase, normaliseUrl } from "./url.ts";

/** Where Postgres is: a URL, or a function that makes a slonik pool. */
export type DatabaseSource = string | (() => unknown);

/** What a pool is opened with. Every default is slonik's own unless it says otherwise. */
export interface PoolSettings {
  /** Sessions at once. slonik caps them in silence: make it as large as what runs at once. Default 10. */
  readonly size?: number;
  /** How long one statement may take, in ms; 0 for no limit. Default 60,000. */
  readonly statementTimeoutMs?: number;
  /** How long a transaction may wait for its client, in ms; 0 for no limit. Default 60,000. */
  readonly idleInTransactionTimeoutMs?: number;
  /** How long to wait for a connection, in ms. Default 5,000. */
  readonly connectTimeoutMs?: number;
  /** How long an unused session is kept, in ms. Default 10,000. */
  readonly idleTimeoutMs?: number;
  /** The session's name in `pg_stat_activity`. Default "tasktrail". */
  readonly applicationName?: string;
}

/** Postgres did not let us in. The message says where, as whom, why, and what to do; never the password. */
export class DatabaseUnreachable extends Error {
  readonly code = "database_unreachable";
  constructor(url: string, cause: unknown) {
    super(`Cannot open PostgreSQL at ${describeDatabase(url)}: ${reasonOf(cause)}`, { cause });
    this.name = "DatabaseUnreachable";
  }
}

/** A slonik pool. It connects once at the start, so that what is wrong with the URL or the server is told here. Throws DatabaseUnreachable. */
export async function openPool(url: string, settings: PoolSettings = {}): Promise<DatabasePool> {
  try {
    const pool = await createPool(normaliseUrl(url, settings.applicationName ?? "tasktrail"), {
      maxPoolSize: settings.size ?? 10,
      statementTimeout: limit(settings.statementTimeoutMs ?? 60_000),
      idleInTransactionSessionTimeout: limit(settings.idleInTransactionTimeoutMs ?? 60_000),
      connectionTimeout: settings.connectTimeoutMs ?? 5_000,
      idleTimeout: settings.idleTimeoutMs ?? 10_000,
    });
    pool.on("error", () => {}); // a session that breaks while nobody uses it; whoever uses one is told by a rejection
    return pool;
  } catch (error) {
    throw new DatabaseUnreachable(url, error);
  }
}

/** A pool from a URL, or the one that the user's function makes. `isOurs`: we opened it, so we end it. */
export async function poolFrom(
  source: DatabaseSource,
  settings: PoolSettings = {},
): Promise<{ readonly pool: DatabasePool; readonly isOurs: boolean }> {
  if (typeof source === "string") return { pool: await openPool(source, settings), isOurs: true };
  return { pool: (await source()) as DatabasePool, isOurs: false };
}

/**
 * One transaction, tried once. slonik alone would run `work` again, up to five times, after a deadlock or a
 * serialization failure; a handler would then run twice inside one attempt. Who wants a retry makes it around this.
 */
export function transactionOnce<T>(
  pool: Pick<DatabasePool, "transaction">,
  work: (session: DatabaseTransactionConnection) => Promise<T>,
): Promise<T> {
  return pool.transaction(work, 0);
}

/** The pool, for whoever has a transaction on another of its sessions: slonik takes that for an accident. To be asked for before the transaction. */
export function besideTransaction(pool: DatabasePool): Session & Pick<DatabasePool, "transaction"> {
  const outside = AsyncLocalStorage.snapshot();
  return {
    any: (query) => outside(() => pool.any(query)),
    query: (query) => outside(() => pool.query(query)),
    transaction: (work, retries) => outside(() => pool.transaction(work, retries)),
  };
}

/** The SQLSTATE of an error, wherever slonik has put it; undefined when Postgres did not answer at all. */
export function sqlState(error: unknown): string | undefined {
  for (let one = error, depth = 0; one instanceof Error && depth < 5; one = one.cause, depth += 1) {
    const { code } = one as { code?: unknown };
    if (typeof code === "string" && /^[0-9A-Z]{5}$/.test(code) && !code.startsWith("E")) return code;
    if (one.constructor.name === "InvalidInputError") return "22P02"; // the one that slonik makes without its code or cause
  }
  return undefined;
}

function limit(ms: number): number | "DISABLE_TIMEOUT" {
  return ms === 0 ? "DISABLE_TIMEOUT" : ms;
}

const HINTS: Readonly<Record<string, string>> = {
  ECONNREFUSED: "nothing listens there. Start PostgreSQL, or set DATABASE_URL to where it runs.",
  ENOENT: "there is no such socket. Start PostgreSQL, or set DATABASE_URL to where it runs.",
  ENOTFOUND: "the host name is unknown. Check DATABASE_URL.",
  EAI_AGAIN: "the host name could not be looked up. Check DATABASE_URL and the network.",
  ETIMEDOUT: "no answer in time. Check the host, the port and the firewall.",
  "28P01": "Check user and password in DATABASE_URL.",
  "28000": "Check the user in DATABASE_URL, and pg_hba.conf on the server.",
  "3D000": "Create it, or check DATABASE_URL.",
  "53300": "Raise max_connections, or make the pools smaller.",
  "57P03": "Try again in a moment.",
};

function reasonOf(cause: unknown): string {
  const errors = cause instanceof AggregateError ? cause.errors : [cause];
  for (const error of errors) {
    const code = (error as { code?: string } | undefined)?.code ?? "";
    const hint = HINTS[code];
    if (hint !== undefined) return code.startsWith("E") ? hint : `${(error as Error).message}. ${hint}`;
  }
  const [first] = errors;
  const said = first instanceof Error ? first.message : String(first);
  if (/timeout expired|timed? ?out/i.test(said)) return HINTS.ETIMEDOUT as string;
  if (/does not support SSL/i.test(said)) return "the server has no TLS. Add ?sslmode=disable to DATABASE_URL.";
  return said;
}
