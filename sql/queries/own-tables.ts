import { type DatabaseTransactionConnection, sql } from "slonik";
import { z } from "zod";
import { rowsOf, type Session, statement } from "../statement.ts";

const column = z.object({
  name: z.string(),
  type: z.string(),
  isNullable: z.boolean(),
  isKey: z.boolean(),
});

/** A column as Postgres has it. */
export type FoundColumn = Readonly<z.infer<typeof column>>;

/** The columns of a table, in order; none when there is no such table. */
export function describeTable(session: Session, table: string): Promise<FoundColumn[]> {
  return rowsOf(
    session,
    column,
    sql.unsafe`
      select a.attname::text as name, format_type(a.atttypid, null) as type, not a.attnotnull as "isNullable",
        coalesce(a.attnum = any(i.indkey), false) as "isKey"
      from pg_attribute a left join pg_index i on i.indrelid = a.attrelid and i.indisprimary
      where a.attrelid = to_regclass(${table}) and a.attnum > 0 and not a.attisdropped order by a.attnum`,
  );
}

const LOCK = 7_264_110_361;

/** Keeps all others from making or switching tables until the transaction is over. */
export async function lockTables(session: Session): Promise<void> {
  await session.query(sql.unsafe`select pg_advisory_xact_lock(${LOCK})`);
}

/** Adds what the projector keeps in each table besides the row, where the table has not got it, and widens the primary key. */
export async function addKept(
  session: Session,
  table: string,
  { key, names }: { key: string; names: ReadonlySet<string> },
): Promise<void> {
  const added = [
    ...(names.has("namespace") ? [] : ["add column namespace text not null"]),
    ...(names.has("queue") ? [] : ["add column queue text not null"]),
    ...(names.has("begun_at") ? [] : ["add column begun_at timestamptz not null"]),
  ];
  const [constraint] = await rowsOf(
    session,
    z.object({ name: z.string() }),
    sql.unsafe`select conname::text as name from pg_constraint where conrelid = to_regclass(${table}) and contype = 'p'`,
  );
  const widened = [
    `drop constraint ${constraint?.name}`,
    `add constraint ${table}_pkey primary key (${key}, queue, namespace)`,
  ];
  await session.query(statement(`alter table ${table} ${[...added, ...widened].join(", ")}`, []));
}

/** A table's or a view's comment. */
export async function findComment(session: Session, name: string): Promise<string | undefined> {
  const rows = await rowsOf(
    session,
    z.object({ comment: z.string().nullable() }),
    sql.unsafe`select obj_description(to_regclass(${name}), 'pg_class') as comment`,
  );
  return rows[0]?.comment ?? undefined;
}

/** Sets a comment. */
export async function setComment(
  session: Session,
  what: "table" | "view",
  { name, comment }: { name: string; comment: string },
): Promise<void> {
  await session.query(statement(`comment on ${what} ${name} is '${comment.replaceAll("'", "''")}'`, []));
}

/** What a name stands for: a table `r`, a view `v`, something else, or nothing. */
export async function kindOf(session: Session, name: string): Promise<string | undefined> {
  const rows = await rowsOf(
    session,
    z.object({ kind: z.string() }),
    sql.unsafe`select relkind::text as kind from pg_class where oid = to_regclass(${name})`,
  );
  return rows[0]?.kind;
}

/**
 * Has a view show another table. When its columns have changed in more than being added to, the view is made anew, with the rights that were
 * granted on it; views on top of it then stand in the way, and Postgres says which.
 */
export async function switchView(session: DatabaseTransactionConnection, view: string, table: string): Promise<void> {
  const text = `view ${view} as select * from ${table}`;
  if ((await kindOf(session, view)) === undefined) {
    await session.query(statement(`create ${text}`, []));
    return;
  }
  try {
    await session.transaction((savepoint) => savepoint.query(statement(`create or replace ${text}`, [])));
  } catch {
    const grants = await rowsOf(
      session,
      z.object({ grantee: z.string(), privilege: z.string() }),
      sql.unsafe`
        select case when g.grantee = 0 then 'public' else quote_ident(pg_get_userbyid(g.grantee)) end as grantee, g.privilege_type as privilege
        from pg_class c cross join lateral aclexplode(c.relacl) g where c.oid = to_regclass(${view}) and g.grantee <> c.relowner`,
    );
    await session.query(statement(`drop view ${view}`, []));
    await session.query(statement(`create ${text}`, []));
    for (const { grantee, privilege } of grants)
      await session.query(statement(`grant ${privilege} on ${view} to ${grantee}`, []));
  }
}
