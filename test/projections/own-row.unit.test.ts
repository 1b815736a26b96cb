import assert from "node:assert/strict";
import { test } from "node:test";
import { z } from "zod";
import { fitTable } from "../../projections/own-row.ts";
import { parseDdl } from "../../sql/own-ddl.ts";
import type { FoundColumn } from "../../sql/queries/own-tables.ts";

const column = (name: string, type: string, more: Partial<FoundColumn> = {}): FoundColumn => ({
  name,
  type,
  isNullable: false,
  isKey: false,
  ...more,
});
const id = column("id", "text", { isKey: true });

test("a table fits its row when each property has a column that can hold it", () => {
  const row = z.object({
    id: z.string(),
    someCount: z.int(),
    ms: z.number().nullable(),
    at: z.date(),
    tags: z.array(z.string()),
    kind: z.enum(["a", "b"]).optional(),
  });
  const found = [
    id,
    column("some_count", "bigint"),
    column("ms", "double precision", { isNullable: true }),
    column("at", "timestamp with time zone"),
    column("tags", "jsonb"),
    column("kind", "character varying(5)", { isNullable: true }),
    column("note", "text", { isNullable: true }),
    column("namespace", "text", { isKey: true }),
  ];
  assert.deepEqual(fitTable("p", row, found), {
    key: "id",
    columns: { id: "text", someCount: "double", ms: "double", at: "instant", tags: "json", kind: "text" },
    dates: ["at"],
  });
});

const misfits: [string, z.ZodType, FoundColumn[], RegExp][] = [
  [
    "a column that is missing",
    z.object({ id: z.string(), n: z.int() }),
    [id],
    /its row has "n", and the table no column n/,
  ],
  [
    "a type that cannot hold it",
    z.object({ id: z.string(), n: z.int() }),
    [id, column("n", "text")],
    /column n is text, and "n" is a integer: make it integer/,
  ],
  [
    "a number in an integer",
    z.object({ id: z.string(), n: z.number() }),
    [id, column("n", "integer")],
    /may have decimals/,
  ],
  [
    "a null in a column without",
    z.object({ id: z.string(), n: z.int().nullable() }),
    [id, column("n", "integer")],
    /"n" may be null or absent, and column n may not/,
  ],
  [
    "a column that the row never fills",
    z.object({ id: z.string() }),
    [id, column("n", "integer")],
    /column n may not be null, and the row has no "n"/,
  ],
  [
    "a type that no projection keeps",
    z.object({ id: z.string(), n: z.string() }),
    [id, column("n", "inet")],
    /column n is inet; a projection keeps/,
  ],
  ["no key", z.object({ id: z.string() }), [column("id", "text")], /its primary key is to be one column of text/],
  [
    "two keys",
    z.object({ id: z.string(), b: z.string() }),
    [id, column("b", "text", { isKey: true })],
    /its primary key is to be one column/,
  ],
];
for (const [what, row, found, said] of misfits)
  test(`a table does not fit: ${what}`, () => {
    assert.throws(
      () => fitTable("p", row, found),
      (error: Error) => said.test(error.message) && error.message.startsWith('The table of projection "p"'),
    );
  });

test("a definition makes the table under another name, and indexes that do not collide", () => {
  const ddl = parseDdl(
    "CREATE TABLE things (id text primary key, things integer);\ncreate index on things (things);\ncreate unique index things_x on things (id)",
    { projection: "p", table: "things" },
  );
  assert.deepEqual(ddl.statementsFor("things_v2", "v2"), [
    "create table things_v2 (id text primary key, things integer)",
    "create index on things_v2 (things)",
    "create unique index things_x_v2 on things_v2 (id)",
  ]);
  const refused = (text: string, said: RegExp) =>
    assert.throws(() => parseDdl(text, { projection: "p", table: "things" }), said);
  refused("drop table users", /does not begin with "create table things/);
  refused("create table other (id text)", /makes a table other, and the table's name is things/);
  refused(
    "create table things (id text); drop table users",
    /"drop table users" is neither the table nor an index on it/,
  );
  refused("create table things (id text); create index on users (id)", /is neither the table nor an index on it/);
});
