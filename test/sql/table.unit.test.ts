import assert from "node:assert/strict";
import { test } from "node:test";
import type { Session } from "../../sql/statement.ts";
import { defineTable, upsertMany } from "../../sql/table.ts";

const table = defineTable<{ readonly name: string; readonly count: number | null }>({
  name: "counts",
  columns: { name: "text", count: "integer" },
  key: "name",
  scope: "namespace",
  begun: [],
});
const rows = Array.from({ length: 9_000 }, (_, n) => ({ name: `n${n}`, count: n === 4_001 ? 7 : null }));

/** A session whose statements are answered when the test says so. */
function aSession() {
  const asked: { readonly values: readonly unknown[]; answer(error?: Error): void }[] = [];
  const query = (token: { readonly values: readonly unknown[] }) =>
    new Promise((resolve, reject) => {
      const answer = (error?: Error) => (error === undefined ? resolve({ rowCount: 0 }) : reject(error));
      asked.push({ values: token.values, answer });
    });
  return { asked, session: { query } as unknown as Session };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

test("many rows go out in several statements, the next of which is there while the last is answered", async () => {
  const { asked, session } = aSession();
  const writing = upsertMany(session, { table, namespace: "test" }, rows);
  await turn();
  assert.equal(asked.length, 2);
  asked[0]?.answer();
  await turn();
  assert.equal(asked.length, 3, "one is answered, so that another may be made");
  asked[1]?.answer();
  asked[2]?.answer();
  await writing;
  const names = asked.flatMap(({ values }) => String(values[0]).slice(1, -1).split(","));
  assert.deepEqual(
    names,
    rows.map(({ name }) => `"${name}"`),
  );
  const counts = asked.map(({ values }) => values[1]);
  assert.equal(counts[0], null, "a column without a value is not spelt out");
  assert.equal(counts[1], `{NULL,7${",NULL".repeat(3_998)}}`);
});

test("a statement that is refused is told, whatever becomes of the one after it", async () => {
  const { asked, session } = aSession();
  const writing = upsertMany(session, { table, namespace: "test" }, rows);
  await turn();
  asked[0]?.answer(new Error("the first"));
  asked[1]?.answer(new Error("the second"));
  await assert.rejects(writing, /the first/);
});
