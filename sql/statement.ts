import { type CommonQueryMethods, type QuerySqlToken, sql } from "slonik";

/** Whatever runs statements: a pool or a transaction. */
export type Session = Pick<CommonQueryMethods, "any" | "query">;

/** A statement of our own making with its values (`$1`, `$2` …). For text that depends on a table's columns; no user's text ever gets into it. */
export function statement(text: string, values: readonly unknown[]): QuerySqlToken {
  return { ...sql.unsafe`select`, sql: text, values: values as QuerySqlToken["values"] };
}

/** What checks a row: a zod schema, or any with `parse`. */
export interface RowSchema<Row> {
  parse(row: unknown): Row;
}

/** The rows of a query, each checked. They are read with the casts in our statements, so that a pool of the user's with its own type parsers gives the same. */
export async function rowsOf<Row>(session: Session, schema: RowSchema<Row>, query: QuerySqlToken): Promise<Row[]> {
  const rows = await session.any(query);
  return rows.map((row) => schema.parse(row));
}

/** The first row of a query, checked; undefined when there is none. */
export async function rowOf<Row>(
  session: Session,
  schema: RowSchema<Row>,
  query: QuerySqlToken,
): Promise<Row | undefined> {
  return (await rowsOf(session, schema, query))[0];
}

/** How many rows a statement has changed. */
export async function changed(session: Session, query: QuerySqlToken): Promise<number> {
  return (await session.query(query)).rowCount;
}
