// biome-ignore-all lint/suspicious/noExplicitAny: values are whatever a driver takes
import { invalidOption } from "../errors.ts";
import { shown } from "./options.ts";

/** An open transaction: slonik's, a client of `pg`, or a function that runs one statement with `$1` parameters in it (Prisma, Drizzle, Kysely, Knex). */
export type SqlSession =
  | { query(text: string, values: unknown[]): Promise<unknown> }
  | {
      query(statement: {
        readonly sql: string;
        readonly values: readonly any[];
        readonly type: any;
        readonly parser: any;
      }): Promise<unknown>;
    }
  | ((text: string, values: unknown[]) => Promise<unknown>);

/** Runs one statement in a session. */
export type RunStatement = (text: string, values: unknown[]) => Promise<unknown>;

/** How a session of this kind runs a statement. Throws InvalidOption for what is none, and for pools, whose statements each commit by themselves. */
export function statementRunner(session: unknown): RunStatement {
  if (typeof session === "function") return session as RunStatement;
  const given = session as Partial<Record<"query" | "anyFirst" | "connect", unknown>> | null | undefined;
  if (typeof given?.query !== "function") {
    throw invalidOption(
      "session",
      `${shown(session)} is no open transaction: it takes slonik's, a client of pg, or (text, values) => Promise`,
    );
  }
  if (isPool(given)) {
    throw invalidOption(
      "session",
      "this is a pool, whose statements each commit by themselves: give the transaction, as in pool.transaction((session) => …)",
    );
  }
  const query = given.query.bind(given) as (...args: unknown[]) => Promise<unknown>;
  if (!isSlonik(given)) return query as RunStatement;
  return (sql, values) => query({ sql, values, type: QUERY_TOKEN, parser: anything });
}

/** Calls back once a session has committed, if it is of a kind that says so: slonik's, the injected one included. */
export function onceCommitted(session: unknown, then: () => void): void {
  if (typeof session !== "object" || session === null || !isSlonik(session)) return;
  (session as { once?(event: string, listener: () => void): void }).once?.("commit", then);
}

function isSlonik(session: object): boolean {
  return "anyFirst" in session;
}

/** slonik's pools can hand out connections, its transactions cannot; those of pg count their clients. */
function isPool(session: object): boolean {
  return isSlonik(session) ? "connect" in session : "totalCount" in session && "idleCount" in session;
}

/** What slonik knows a statement by; read from the global registry, so that slonik need not be loaded. */
const QUERY_TOKEN = Symbol.for("SLONIK_TOKEN_QUERY");
/** What it wants for the rows of a statement that gives none. */
const anything = { parse: (row: unknown) => row };
