import assert from "node:assert/strict";
import { test } from "node:test";
import { readMigrations, splitStatements } from "../../sql/migrate.ts";

/** Of each released migration. A line is added when a version is released with a new one, and never changed: databases out there have it. */
const RELEASED: Readonly<Record<string, string>> = {};

test("a released migration never changes", async () => {
  const migrations = await readMigrations();
  for (const [name, checksum] of Object.entries(RELEASED)) {
    const ours = migrations.find((migration) => migration.name === name);
    assert.equal(
      ours?.checksum,
      checksum,
      `${name} differs from what was released: restore it, and make a new migration`,
    );
  }
});

test("migrations are numbered from one on, without a gap, and written in lower case", async () => {
  const migrations = await readMigrations();
  assert.ok(migrations.length >= 4);
  migrations.forEach(({ id, name, statements }, index) => {
    assert.equal(id, index + 1, name);
    assert.ok(statements.length > 0, name);
    for (const statement of statements) {
      const code = statement.replace(/'(?:[^']|'')*'/g, "''").replace(/^\s*--.*$/gm, "");
      assert.doesNotMatch(code, /\b(SELECT|CREATE|TABLE|NOT NULL|INSERT|ALTER|PRIMARY|COMMENT)\b/, name);
    }
  });
});

test("a file is cut into its statements, and a $$ body stays whole", () => {
  const text = "-- about\n\ncreate table a (\n  b text -- ; here\n);\n\ndo $$\nbegin\n  perform 1;\nend\n$$;\nselect 1";
  assert.deepEqual(splitStatements(text), [
    "create table a (\n  b text -- ; here\n)",
    "do $$\nbegin\n  perform 1;\nend\n$$",
    "select 1",
  ]);
});
