import type { DatabaseTransactionConnection } from "slonik";
import { z } from "zod";
import { rowsOf, type Session, statement } from "../statement.ts";
import { conflictOf, type Share } from "../table.ts";
import type { Shadow } from "./shadow.ts";

type AnyShare = Omit<Share<Readonly<Record<string, unknown>>>, "queue">;

/** Whether a table has at most so many rows of a namespace. */
export async function hasFewRows(
  session: Session,
  { table, namespace, most }: AnyShare & { readonly most: number },
): Promise<boolean> {
  const rows = await rowsOf(
    session,
    z.object({ isFew: z.boolean() }),
    statement(
      `select count(*) <= $2 as "isFew" from (select from ${table.name} where namespace = $1 limit $2::integer + 1) few`,
      [namespace, most],
    ),
  );
  return rows[0]?.isFew === true;
}

/** Notes the keys of all rows that the live table has. */
export async function suspectAll(session: Session, { live, namespace, suspects }: Shadow): Promise<void> {
  const keys = conflictOf(live);
  await session.query(
    statement(`insert into ${suspects} (${keys}) select ${keys} from ${live.name} where namespace = $1`, [namespace]),
  );
}

/** The rows of some keys that this very transaction has written, by key. It may have had no transaction within it. */
export async function loadOwn(
  session: DatabaseTransactionConnection,
  { table, namespace }: AnyShare,
  keys: readonly string[],
): Promise<Map<string, Readonly<Record<string, unknown>>>> {
  if (keys.length === 0) return new Map();
  const rows = (await session.any(statement(table.loadOwnText, [keys, namespace]))) as Readonly<
    Record<string, unknown>
  >[];
  return new Map(rows.map((row) => [String(row[table.key]), row]));
}

/** Which session of Postgres this is. */
export async function findSession(session: DatabaseTransactionConnection): Promise<number> {
  const rows = await rowsOf(session, z.object({ pid: z.number() }), statement("select pg_backend_pid() as pid", []));
  return rows[0]?.pid ?? 0;
}

/** Whether somebody waits for something that a session of this number holds. */
export async function isWaitedFor(session: Session, pid: number): Promise<boolean> {
  const rows = await rowsOf(
    session,
    z.object({ isWaitedFor: z.boolean() }),
    statement(
      `select exists (select from pg_locks where not granted and $1 = any(pg_blocking_pids(pid))) as "isWaitedFor"`,
      [pid],
    ),
  );
  return rows[0]?.isWaitedFor === true;
}
