/** A `create table` of the application's, taken apart: its statements, for a table of whatever name. */
export interface OwnDdl {
  /** The statements that make the table and its indexes under another name; `mark` is added to the names of indexes, which are unique in a schema. */
  statementsFor(physical: string, mark: string): readonly string[];
}

/** A table's definition cannot be used. The message says why. */
export class TableUnfit extends Error {
  readonly code = "table_unfit";
  constructor(projection: string, why: string) {
    super(`The table of projection "${projection}" cannot be used: ${why}`);
    this.name = "TableUnfit";
  }
}

const TABLE = /^create\s+table\s+(?:if\s+not\s+exists\s+)?"?(\w+)"?(?=\s*\()/i;
const INDEX = /^(create\s+(?:unique\s+)?index)(?:\s+(?:if\s+not\s+exists\s+)?(?!on\b)"?(\w+)"?)?\s+on\s+"?(\w+)"?/i;

/** Takes a definition apart. Throws TableUnfit for anything but one `create table` of that name, and `create index` on it. */
export function parseDdl(
  ddl: string,
  { projection, table }: { readonly projection: string; readonly table: string },
): OwnDdl {
  const statements = ddl
    .split(";")
    .map((text) => text.trim())
    .filter((text) => text !== "");
  const unfit = (why: string) => new TableUnfit(projection, why);
  const [first = "", ...rest] = statements;
  const made = TABLE.exec(first)?.[1];
  if (made === undefined) throw unfit(`its ddl does not begin with "create table ${table} ("`);
  if (made.toLowerCase() !== table) throw unfit(`its ddl makes a table ${made}, and the table's name is ${table}`);
  for (const text of rest) {
    const on = INDEX.exec(text)?.[3];
    if (on?.toLowerCase() !== table) throw unfit(`"${text.slice(0, 60)}" is neither the table nor an index on it`);
  }
  return {
    statementsFor: (physical, mark) => [
      first.replace(TABLE, `create table ${physical}`),
      ...rest.map((text) =>
        text.replace(INDEX, (_whole, head: string, name: string | undefined) =>
          name === undefined ? `${head} on ${physical}` : `${head} ${name}_${mark} on ${physical}`,
        ),
      ),
    ],
  };
}
