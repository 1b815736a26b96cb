import { z } from "zod";
import { TableUnfit } from "../sql/own-ddl.ts";
import type { FoundColumn } from "../sql/queries/own-tables.ts";
import { type ColumnType, columnOf } from "../sql/table.ts";

/** What a schema says of one property of a row. */
interface RowProperty {
  readonly type: "string" | "integer" | "number" | "boolean" | "date" | "json";
  readonly isNullable: boolean;
}

/** The columns that the projector keeps in each table of the application's, besides the row. */
export const KEPT: readonly string[] = ["namespace", "queue", "begun_at"];

/** A table that fits its row. */
export interface FittingTable {
  readonly key: string;
  readonly columns: Readonly<Record<string, ColumnType>>;
  /** Properties that are Dates. */
  readonly dates: readonly string[];
}

/**
 * Compares a table with the schema of its row: a column for each property, of a type that can hold it, null where the property may be; and one column of the row as primary
 * key. Of a schema other than zod's the names cannot be known, so the columns are taken for it. Throws TableUnfit, with the column. Pure.
 */
export function fitTable(projection: string, row: unknown, found: readonly FoundColumn[]): FittingTable {
  const unfit = (why: string) => new TableUnfit(projection, why);
  const properties = propertiesOf(row) ?? assumed(found);
  const own = found.filter(({ name }) => !KEPT.includes(name) || Object.hasOwn(properties, propertyOf(name)));
  const columns: Record<string, ColumnType> = {};
  for (const [property, { type, isNullable }] of Object.entries(properties)) {
    const column = found.find(({ name }) => name === columnOf(property));
    if (column === undefined) throw unfit(`its row has "${property}", and the table no column ${columnOf(property)}`);
    const kind = KINDS[column.type.replace(/\(.*$/, "")];
    if (kind === undefined)
      throw unfit(`column ${column.name} is ${column.type}; a projection keeps ${Object.keys(KINDS).join(", ")}`);
    if (!HOLDS[type].includes(kind) || (type === "number" && /^(integer|bigint|smallint)$/.test(column.type)))
      throw unfit(
        `column ${column.name} is ${column.type}, and "${property}" is a ${type === "json" ? "list or an object" : type}${HINTS[type]}`,
      );
    if (isNullable && !column.isNullable)
      throw unfit(`"${property}" may be null or absent, and column ${column.name} may not`);
    columns[property] = kind;
  }
  for (const { name, isNullable } of own)
    if (!Object.hasOwn(columns, propertyOf(name)) && !isNullable)
      throw unfit(`column ${name} may not be null, and the row has no "${propertyOf(name)}"`);
  const [key, ...more] = own.filter(({ isKey, name }) => isKey && (name !== "queue" || !KEPT.includes(name)));
  if (key === undefined || more.length > 0 || !["text", "uuid"].includes(columns[propertyOf(key.name)] ?? ""))
    throw unfit(
      `its primary key is to be one column of text (or uuid): what key() gives. Put together what tells rows apart, as in \`\${run}/\${attempt}\``,
    );
  const dates = Object.keys(properties).filter((property) => properties[property]?.type === "date");
  return { key: propertyOf(key.name), columns, dates };
}

/** Of Postgres' types, how they are written. */
const KINDS: Readonly<Record<string, ColumnType>> = {
  text: "text",
  "character varying": "text",
  uuid: "uuid",
  smallint: "integer",
  integer: "integer",
  bigint: "double",
  numeric: "double",
  "double precision": "double",
  boolean: "boolean",
  jsonb: "json",
  "timestamp with time zone": "instant",
};

const HOLDS: Readonly<Record<RowProperty["type"], readonly ColumnType[]>> = {
  string: ["text", "uuid"],
  integer: ["integer", "double", "instant"],
  number: ["integer", "double", "instant"],
  boolean: ["boolean"],
  date: ["instant"],
  json: ["json"],
};

const HINTS: Readonly<Record<RowProperty["type"], string>> = {
  string: ": make it text",
  integer: ": make it integer, bigint, or timestamp with time zone for an instant in ms",
  number: ", which may have decimals: make the column double precision, or the property z.int()",
  boolean: ": make it boolean",
  date: ": make it timestamp with time zone",
  json: ": make it jsonb",
};

function propertyOf(column: string): string {
  return column.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}

interface JsonSchema {
  readonly type?: string | readonly string[];
  readonly format?: string;
  readonly anyOf?: readonly JsonSchema[];
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
}

/** The properties of a zod object, by its JSON schema; undefined for a schema of another library. */
function propertiesOf(row: unknown): Readonly<Record<string, RowProperty>> | undefined {
  if ((row as { readonly "~standard"?: { readonly vendor?: string } })["~standard"]?.vendor !== "zod") return undefined;
  const schema = z.toJSONSchema(row as z.ZodType, {
    io: "output",
    unrepresentable: "any",
    override({ zodSchema, jsonSchema }) {
      if (zodSchema._zod.def.type === "date") Object.assign(jsonSchema, { type: "string", format: "date-object" });
    },
  }) as JsonSchema;
  const required = new Set(schema.required);
  return Object.fromEntries(
    Object.entries(schema.properties ?? {}).map(([name, one]) => {
      const { type, isNullable } = typeOf(one);
      return [name, { type, isNullable: isNullable || !required.has(name) }];
    }),
  );
}

function typeOf(schema: JsonSchema): RowProperty {
  const parts = schema.anyOf?.map(typeOf);
  const isNull = (one: JsonSchema) => one.type === "null" || one.const === null;
  if (schema.anyOf !== undefined && parts !== undefined) {
    const others = parts.filter((_, at) => !isNull(schema.anyOf?.[at] as JsonSchema));
    const types = new Set(others.map(({ type }) => type));
    return { type: types.size === 1 ? (others[0]?.type ?? "json") : "json", isNullable: others.length < parts.length };
  }
  if (Array.isArray(schema.type)) {
    const { type: types, ...rest } = schema;
    return typeOf({ anyOf: (types as readonly string[]).map((type) => ({ ...rest, type })) });
  }
  if (schema.format === "date-object") return { type: "date", isNullable: false };
  const sample = schema.const ?? schema.enum?.[0];
  const type = schema.type ?? (sample === undefined ? "json" : typeof sample);
  return {
    type: ["string", "integer", "number", "boolean"].includes(String(type)) ? (type as RowProperty["type"]) : "json",
    isNullable: false,
  };
}

/** What columns look as if they held, when the schema does not tell. */
function assumed(found: readonly FoundColumn[]): Readonly<Record<string, RowProperty>> {
  const types: Readonly<Record<string, RowProperty["type"]>> = {
    boolean: "boolean",
    json: "json",
    integer: "integer",
    double: "integer",
    instant: "integer",
  };
  return Object.fromEntries(
    found
      .filter(({ name }) => !KEPT.includes(name))
      .map(({ name, type, isNullable }) => [
        propertyOf(name),
        { type: types[KINDS[type] ?? ""] ?? "string", isNullable },
      ]),
  );
}
