import type { DatabasePool } from "slonik";
import { parseDdl, TableUnfit } from "../sql/own-ddl.ts";
import { transactionOnce } from "../sql/pool.ts";
import {
  addKept,
  describeTable,
  findComment,
  kindOf,
  lockTables,
  setComment,
  switchView,
} from "../sql/queries/own-tables.ts";
import { statement } from "../sql/statement.ts";
import { columnOf, defineTable } from "../sql/table.ts";
import type { LedgerEvent } from "../streams/events.ts";
import { type FittingTable, fitTable } from "./own-row.ts";
import type { AnyProjection, AnyRow } from "./projection.ts";

/** A projection of an application's, as it is declared. */
export interface OwnDefinition {
  readonly name: string;
  readonly version: number;
  readonly table: { readonly name: string; readonly row: unknown; readonly ddl: string };
  readonly events: readonly string[] | undefined;
  key(event: LedgerEvent): string | undefined;
  // biome-ignore lint/suspicious/noExplicitAny: rows of whatever shape
  fold(row: any, event: LedgerEvent): any;
}

/** A projection of an application's with its table. Its name, under which it has checkpoints and parks keys, holds the version. */
export interface OwnProjection extends AnyProjection {
  /** The view that users read. */
  readonly view: string;
}

/**
 * Opens the table of a version: makes it when it is not there, and compares it with the row's schema. A view that is not there yet is made, so that there is something to
 * read from the beginning; one that shows an older version is switched later. Throws TableUnfit.
 */
export function openOwn(pool: DatabasePool, definition: OwnDefinition): Promise<OwnProjection> {
  const { name, version, table } = definition;
  const physical = `${table.name}_v${version}`;
  const note = `Kept by tasktrail for projection ${name}, version ${version}. Made by: ${table.ddl.replace(/\s+/g, " ").trim()}`;
  return transactionOnce(pool, async (session) => {
    await lockTables(session);
    const kind = await kindOf(session, table.name);
    if (kind !== undefined && kind !== "v")
      throw new TableUnfit(
        name,
        `there is a table ${table.name} already, and the view of that name is to be made. Give table.name another`,
      );
    const made = await findComment(session, physical);
    if (made === undefined) {
      const ddl = parseDdl(table.ddl, { projection: name, table: table.name });
      for (const text of ddl.statementsFor(physical, `v${version}`)) await session.query(statement(text, []));
      const found = await describeTable(session, physical);
      const fitting = fitTable(name, table.row, found);
      await addKept(session, physical, { key: columnOf(fitting.key), names: new Set(found.map((one) => one.name)) });
      await setComment(session, "table", { name: physical, comment: note });
    } else if (made !== note)
      throw new TableUnfit(name, `its ddl is not the one that version ${version} was made by. Raise the version`);
    if (kind === undefined) await showVersion(session, definition);
    return toProjection(definition, fitTable(name, table.row, await describeTable(session, physical)));
  });
}

/** Which version a projection's view shows; undefined when there is none. */
export async function shownVersion(pool: Parameters<typeof findComment>[0], view: string): Promise<number | undefined> {
  const version = /, version (\d+)/.exec((await findComment(pool, view)) ?? "")?.[1];
  return version === undefined ? undefined : Number(version);
}

/** Has the view show a version, unless it shows a newer one. Gives whether it was switched. */
export async function showVersion(
  session: Parameters<typeof switchView>[0],
  { name, version, table }: Pick<OwnDefinition, "name" | "version" | "table">,
): Promise<boolean> {
  const shown = await shownVersion(session, table.name);
  if (shown !== undefined && shown >= version) return false;
  await switchView(session, table.name, `${table.name}_v${version}`);
  await setComment(session, "view", { name: table.name, comment: `Shows projection ${name}, version ${version}.` });
  return true;
}

function toProjection(definition: OwnDefinition, { key, columns, dates }: FittingTable): OwnProjection {
  const { name, version, table, events } = definition;
  const types = events === undefined ? undefined : new Set(events);
  const properties = new Set(Object.keys(columns));
  return {
    name: `${name}@${version}`,
    version,
    view: table.name,
    table: defineTable<AnyRow>({
      name: `${table.name}_v${version}`,
      key,
      scope: "lane",
      begun: ["begunAt"],
      columns: { ...columns, queue: "text", begunAt: "instant" },
    }),
    key: (event) => (types === undefined || types.has(event.type) ? definition.key(event) : undefined),
    fold(row, event) {
      const before = row === undefined ? undefined : withDates(row, dates);
      const next = definition.fold(before, event) as AnyRow | undefined;
      if (next === undefined || next === before) return row;
      check(next, { key, expected: definition.key(event), properties });
      return { ...next, queue: event.queue, begunAt: row?.begunAt ?? event.at };
    },
  };
}

/** Instants are read as numbers; a row whose schema has Dates is shown Dates. */
function withDates(row: AnyRow, dates: readonly string[]): AnyRow {
  if (dates.every((property) => typeof row[property] !== "number")) return row;
  return {
    ...row,
    ...Object.fromEntries(
      dates.map((property) => [property, row[property] === null ? null : new Date(row[property] as number)]),
    ),
  };
}

type Expected = {
  readonly key: string;
  readonly expected: string | undefined;
  readonly properties: ReadonlySet<string>;
};

function check(next: AnyRow, { key, expected, properties }: Expected): void {
  if (typeof next !== "object" || next === null) throw new TypeError(`fold gave ${String(next)}, and no row`);
  if (String(next[key]) !== expected)
    throw new TypeError(`the row's ${key} is "${String(next[key])}", and key() gave "${expected}"`);
  for (const property of Object.keys(next))
    if (!properties.has(property) && property !== "queue" && property !== "begunAt")
      throw new TypeError(`fold gave a property "${property}", and the table has no column for it`);
}
