// biome-ignore-all lint/suspicious/noExplicitAny: what is inferred has to be left open, and `unknown` would close it
import { EVENT_TYPES, type EventType, type LedgerEvent } from "../../streams/events.ts";
import { invalidOption } from "../errors.ts";
import { checkKeys, checkObject, oneOf, shown, wholeNumber } from "./options.ts";
import { isSchema, type Schema } from "./schema.ts";

/** A row as a fold sees it: read-only all the way down. */
export type Frozen<T> = T extends string | number | boolean | bigint | null | undefined | Date
  ? T
  : T extends readonly (infer Item)[]
    ? readonly Frozen<Item>[]
    : { readonly [K in keyof T]: Frozen<T[K]> };

/** A fold of the ledger into a table of the application's. */
export interface ProjectionDefinition<Row, Folded, Type extends EventType> {
  /** Unique per broker. Small letters, digits and _, at most 40 of them; also the name of the view that shows its rows, unless the table has another. */
  readonly name: string;
  /** Raise it when `fold`, `key` or the table changes: the projector builds the new table beside the old one, and has the view show it once it has caught up. */
  readonly version: number;
  readonly table: {
    /** Default: the projection's name. */
    readonly name?: string | undefined;
    /** One row, as `fold` sees it; columns are its keys in snake_case. */
    readonly row: Schema<any, Row>;
    /**
     * `create table` for it, and its indexes. Its primary key is one column: what `key` gives. The projector adds the columns `namespace`, `queue` and `begun_at`, the
     * first two to the primary key as well: each lane is folded by itself. Checked against `row` when the projector starts.
     */
    readonly ddl: string;
  };
  /** The event types that it folds; others are not shown to it. Default: all. */
  readonly events?: readonly Type[] | undefined;
  /** The row that an event belongs to; undefined for none. Pure. */
  key(this: void, event: LedgerEvent<Type>): string | undefined;
  /** The row after the event. Pure: event data only, no clock, no randomness. */
  fold(this: void, row: Frozen<Row> | undefined, event: LedgerEvent<Type>): Folded;
}

type UnknownColumn<Folded, Row> = Folded extends unknown ? Exclude<keyof Folded, keyof Row> : never;
/** `fold` is inferred as const, for the sake of enum columns, and so has no check of its own for properties that are too many. */
type ColumnCheck<Folded, Row> = [UnknownColumn<Folded, Row>] extends [never]
  ? unknown
  : { readonly fold: `the row has no column ${UnknownColumn<Folded, Row> & string}` };

/** A projection of an application's own, for `broker.project`. */
export interface Projection<out Row> {
  readonly name: string;
  readonly version: number;
  readonly "~row"?: Row;
}

/** A projection without its types, as the projector and the test kit use it. */
export interface AnyDefinition {
  readonly kind: "tasktrail.projection";
  readonly name: string;
  readonly version: number;
  readonly table: { readonly name: string; readonly row: Schema<any, any>; readonly ddl: string };
  readonly events: readonly EventType[] | undefined;
  key(event: LedgerEvent): string | undefined;
  fold(row: any, event: LedgerEvent): any;
}

const NAME = /^[a-z_][a-z0-9_]{0,39}$/;

/** Declares a projection: a pure fold of the ledger into a table. Throws InvalidOption. */
export function defineProjection<Row, const Folded extends Frozen<Row>, const Type extends EventType = EventType>(
  definition: ProjectionDefinition<Row, Folded, Type> & ColumnCheck<Folded, Row>,
): Projection<Row> {
  const given: ProjectionDefinition<Row, Folded, Type> = definition;
  checkObject("projection", given);
  checkKeys("a projection", given, ["name", "version", "table", "events", "key", "fold"]);
  const { name, version, table, events } = given;
  if (typeof name !== "string" || !NAME.test(name))
    throw invalidOption("name", `${shown(name)} cannot be a projection's name: ${NAME_RULE}`);
  wholeNumber("version", version, { least: 1, most: 1_000_000 });
  checkObject("table", table);
  checkKeys(`the table of projection "${name}"`, table, ["name", "row", "ddl"]);
  const tableName = table.name ?? name;
  if (!NAME.test(tableName))
    throw invalidOption("table.name", `${shown(tableName)} cannot be a table's name: ${NAME_RULE}`);
  if (!isSchema(table.row)) throw invalidOption("table.row", `${shown(table.row)} is not a schema: use zod`);
  if (typeof table.ddl !== "string") throw invalidOption("table.ddl", "takes the text of a create table");
  for (const type of events ?? []) oneOf("events", type, EVENT_TYPES);
  for (const part of ["key", "fold"] as const)
    if (typeof given[part] !== "function") throw invalidOption(part, `projection "${name}" has no function there`);
  const { key, fold } = given as unknown as Pick<AnyDefinition, "key" | "fold">;
  const made: AnyDefinition = {
    kind: "tasktrail.projection",
    name,
    version,
    table: { ...table, name: tableName },
    events,
    key,
    fold,
  };
  return Object.freeze(made) as Projection<Row>;
}

const NAME_RULE = "small letters, digits and _, at most 40 of them";

/** The definition in a projection. Throws InvalidOption when it was not made by `defineProjection`. */
export function definitionOf(projection: unknown): AnyDefinition {
  if ((projection as Partial<AnyDefinition> | null)?.kind === "tasktrail.projection")
    return projection as AnyDefinition;
  throw invalidOption("projection", `${shown(projection)} is no projection: pass what defineProjection() returned`);
}
