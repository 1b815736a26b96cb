import assert from "node:assert/strict";
import { test } from "node:test";
import { readMigrations, splitStatements } from "../../sql/migrate.ts";

/**
 * Of each migration. A line is added with a new one, and never changed once a version with it has been released: databases out there
 * have it. Until then (0.1.0 is not out yet) a change is made here, too, so that none is made by accident.
 */
const CHECKSUMS: Readonly<Record<string, string>> = {
  "0001-ledger-archive": "37a1f613379bbfcaa40b07be09bde022d4550c65b0bcbf48f4ad3512bf6f7aae",
  "0002-projections": "ffb16185766ec886b5b55b0cc23e3642eb371c84d821b02ba84a68c74ca90fdb",
  "0003-task-runs": "067466bc369a560247d6848e42233b2d5f36b6c353dce61c2bee1768f33ea16a",
  "0004-cron-job-runs": "69cdcff4f100417f7c46572be72a2fd27ad8b3229238d8b91fae8858626e13da",
  "0005-lane-lives": "8d907ef5e327c335f78dc044f7834cd229254993de6a7f76be22cd8a1011a788",
  "0006-outbox": "ec2c61cf7ef8234194ee1464cc5fbd9d7012e9f263b48080573da42c96eface8",
  "0007-inbox": "796e8769d8a1646e1136c7db80ada0129bae3b414a06cba04b15e8ea473093ac",
  "0008-retention-by-size": "79ce62d01ce8f7c1adaf59a73aa840274676234ef509710957a0d14081408dc0",
  "0009-traces-left-out": "c4484bab7f14331032999b808ff8894c76e9c17d64f4cbf1a7dfd7befd331ccd",
};

test("a released migration never changes", async () => {
  const migrations = await readMigrations();
  for (const { name, checksum } of migrations) {
    assert.equal(
      CHECKSUMS[name],
      checksum,
      `${name} is not the one that is noted here: once released, restore it and make a new migration`,
    );
  }
  assert.equal(Object.keys(CHECKSUMS).length, migrations.length);
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
