import { changed, type Session, statement } from "./statement.ts";

/** What a column holds: an instant is a number of milliseconds since 1970 in a row, and a timestamptz in the table. */
export type ColumnType = "text" | "uuid" | "integer" | "double" | "boolean" | "json" | "instant";

/** A table that a projection keeps: its rows' properties in camelCase are its columns in snake_case. Absent values are null. */
export interface TableShape<Row> {
  readonly name: string;
  readonly columns: { readonly [Property in keyof Row & string]: ColumnType };
  /** The property that an event's key is compared with. */
  readonly key: keyof Row & string;
  /** Within what a key is unique: run ids are everywhere, names within a namespace, and what is counted by lane within that. A table by lane has a column `queue`. */
  readonly scope: "everywhere" | "namespace" | "lane";
  /** The properties that tell since when there is something to say of a row: the first of them that is set. Instants. */
  readonly begun: readonly (keyof Row & string)[];
}

/** A table with its statements. Besides the row's columns it has `namespace`, which the projector fills in. */
export interface Table<Row> extends TableShape<Row> {
  readonly upsertText: string;
  /** Puts in the rows whose keys the table has not got. */
  readonly insertText: string;
  readonly loadText: string;
  /** Of the rows that the transaction itself has written. */
  readonly loadOwnText: string;
  /** `column as "property"` for each, cast so that every pool reads the same. */
  readonly selection: string;
}

const TYPES: Readonly<Record<ColumnType, string>> = {
  text: "text",
  uuid: "uuid",
  integer: "integer",
  double: "double precision",
  boolean: "boolean",
  json: "jsonb",
  instant: "double precision",
};

/** A table and its statements, from its shape. */
export function defineTable<Row extends object>(shape: TableShape<Row>): Table<Row> {
  const properties = Object.keys(shape.columns) as (keyof Row & string)[];
  const column = (property: string) => columnOf(property);
  const type = (property: keyof Row & string) => shape.columns[property];
  const names = properties.map(column);
  const arrays = properties.map((property, i) => `$${i + 1}::${TYPES[type(property)]}[]`);
  const values = properties.map((property) =>
    type(property) === "instant" ? `to_timestamp(${column(property)} / 1000)` : column(property),
  );
  const conflict = conflictOf(shape).join(", ");
  const updates = properties
    .filter((property) => property !== shape.key)
    .map((property) => `${column(property)} = excluded.${column(property)}`);
  const selection = properties
    .map((property) => {
      const name = column(property);
      const read = { instant: `round(date_part('epoch', ${name}) * 1000)`, double: `${name}::double precision` };
      return `${read[type(property) as "instant"] ?? name} as "${property}"`;
    })
    .join(", ");
  const insert = `insert into ${shape.name} (${names.join(", ")}, namespace)
      select ${values.join(", ")}, $${properties.length + 1} from unnest(${arrays.join(", ")}) as given (${names.join(", ")})
      on conflict (${conflict}) do`;
  const from = `${shape.name} where ${column(shape.key)} = wanted.key and namespace = $2`;
  const load = (
    rows: string,
  ) => `select found.* from unnest($1::${TYPES[type(shape.key)]}[]) as wanted (key) cross join lateral (
        select ${selection} from ${rows} limit 1
      ) as found`;
  return {
    ...shape,
    selection,
    upsertText: `${insert} update set ${updates.join(", ")}`,
    insertText: `${insert} nothing`,
    // A key at a time by the index, whatever the planner thinks of reading the whole table once for many keys: the table grows, the batch does not.
    loadText: load(`${from}${shape.scope === "lane" ? " and queue = $3" : ""}`),
    loadOwnText: load(`${from} and xmin = pg_current_xact_id()::xid`),
  };
}

/** The columns by which a table knows its rows apart. */
export function conflictOf({
  key,
  scope,
}: {
  readonly key: string;
  readonly scope: TableShape<object>["scope"];
}): string[] {
  const own = columnOf(key);
  return scope === "everywhere" ? [own] : scope === "namespace" ? [own, "namespace"] : [own, "queue", "namespace"];
}

/** Since when there is something to say of a row, as an expression over a table's alias. */
export function begunOf({ begun }: { readonly begun: readonly string[] }, alias: string): string {
  return `coalesce(${begun.map((property) => `${alias}.${columnOf(property)}`).join(", ")})`;
}

/** A namespace's share of a table; of a table by lane, a lane's. */
export interface Share<Row> {
  readonly table: Table<Row>;
  readonly namespace: string;
  readonly queue: string;
}

/** Writes rows, new ones and changed ones alike, in one statement. */
export async function upsertRows<Row extends object>(
  session: Session,
  share: Omit<Share<Row>, "queue">,
  rows: readonly Row[],
): Promise<number> {
  return rows.length === 0 ? 0 : write(session, share.table.upsertText, { ...share, rows });
}

/** Writes however many rows, new ones and changed ones alike. */
export async function upsertMany<Row extends object>(
  session: Session,
  share: Omit<Share<Row>, "queue">,
  rows: readonly Row[],
): Promise<void> {
  for await (const _ of inStatements(rows, (some) => upsertRows(session, share, some)));
}

/** What became of rows that were to be put in: how many there are more, and those of statements in which the table had a key already. */
export interface Inserted<Row> {
  readonly count: number;
  readonly refused: readonly Row[];
}

/** Puts in however many rows whose keys the table has not got. */
export async function insertNew<Row extends object>(
  session: Session,
  share: Omit<Share<Row>, "queue">,
  rows: readonly Row[],
): Promise<Inserted<Row>> {
  let count = 0;
  const refused: Row[] = [];
  const insert = (some: readonly Row[]) => write(session, share.table.insertText, { ...share, rows: some });
  for await (const [some, put] of inStatements(rows, insert)) {
    count += put;
    if (put < some.length) refused.push(...some);
  }
  return { count, refused };
}

const ROWS_PER_STATEMENT = 4_000;

/**
 * Rows in the statements that write them, thousands to each, with what each gave. The next one is made and handed to the driver while Postgres is at the last one, so that
 * neither waits for the other.
 */
async function* inStatements<Row>(
  rows: readonly Row[],
  write: (some: readonly Row[]) => Promise<number>,
): AsyncGenerator<readonly [readonly Row[], number]> {
  let last: { readonly some: readonly Row[]; readonly done: Promise<number> } | undefined;
  for (let at = 0; at < rows.length; at += ROWS_PER_STATEMENT) {
    const some = rows.slice(at, at + ROWS_PER_STATEMENT);
    const done = write(some);
    done.catch(() => {}); // told below, after the one before
    if (last !== undefined) yield [last.some, await last.done];
    last = { some, done };
  }
  if (last !== undefined) yield [last.some, await last.done];
}

function write<Row extends object>(
  session: Session,
  text: string,
  { table, namespace, rows }: Omit<Share<Row>, "queue"> & { readonly rows: readonly Row[] },
): Promise<number> {
  const properties = Object.keys(table.columns) as (keyof Row & string)[];
  const arrays = properties.map((property) => arrayOf(rows, property, table.columns[property]));
  return changed(session, statement(text, [...arrays, namespace]));
}

/** The rows of some keys, by key. */
export async function loadRows<Row extends object>(
  session: Session,
  { table, namespace, queue }: Share<Row>,
  keys: readonly string[],
): Promise<Map<string, Row>> {
  if (keys.length === 0) return new Map();
  const place = table.scope === "lane" ? [namespace, queue] : [namespace];
  const rows = (await session.any(statement(table.loadText, [`{${keys.map(quoted).join(",")}}`, ...place]))) as Row[];
  return new Map(rows.map((row) => [String(row[table.key]), row]));
}

/** A property's column. */
export function columnOf(property: string): string {
  return property.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/**
 * A column's values as an array literal. Null when all of them are: `unnest` fills up a shorter array with nulls, which costs nothing to
 * write and to read. (pg's own way of writing arrays took a third of the projector's time.)
 */
function arrayOf<Row>(rows: readonly Row[], property: keyof Row, type: ColumnType): string | null {
  const first = rows.findIndex((row) => (row[property] ?? null) !== null);
  if (first < 0) return null;
  let literal = `{${"NULL,".repeat(first)}${elementOf(rows[first]?.[property] ?? null, type)}`;
  for (let at = first + 1; at < rows.length; at += 1)
    literal += `,${elementOf((rows[at] as Row)[property] ?? null, type)}`;
  return `${literal}}`;
}

/** Everything but numbers and truth values is quoted, so that no value, of whatever kind, can become two. */
function elementOf(value: unknown, type: ColumnType): string {
  if (value === null) return "NULL";
  if (type === "json") return quoted(JSON.stringify(value));
  if (value instanceof Date) return elementOf(value.getTime(), type);
  if (typeof value === "number") return String(type === "instant" ? Math.round(value) : value);
  return typeof value === "boolean" ? String(value) : quoted(String(value));
}

function quoted(text: string): string {
  return text.includes('"') || text.includes("\\") ? `"${text.replace(/["\\]/g, "\\$&")}"` : `"${text}"`;
}
