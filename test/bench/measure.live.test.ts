import assert from "node:assert/strict";
import { test } from "node:test";
import { benches } from "./all.ts";
import { openDatabases } from "./databases.ts";
import { measure } from "./measure.ts";

test("a bench is played by each contender in processes of its own, and finds something", async () => {
  const found = benches.find(({ name }) => name === "enqueue-256");
  assert.ok(found !== undefined);
  const bench = { ...found, contenders: ["Tasktrail", "BullMQ"] };
  await using databases = openDatabases();
  const outcome = await measure(bench, { rounds: 1, scale: 0.01 }, databases);
  assert.deepEqual(
    outcome.figures.map(({ name }) => name),
    ["rate", "node"],
  );
  for (const { name, medians } of outcome.figures) {
    assert.deepEqual(Object.keys(medians), bench.contenders, name);
    for (const [contender, value] of Object.entries(medians))
      assert.ok(Number.isFinite(value) && value >= 0, `${name} of ${contender}: ${value}`);
  }
  assert.ok((outcome.figures[0]?.ratio ?? 0) > 0);
});

test("names of benches and of their figures are told apart", () => {
  assert.equal(new Set(benches.map(({ name }) => name)).size, benches.length);
  for (const { name, figures } of benches)
    assert.equal(new Set(figures.map((figure) => figure.name)).size, figures.length, name);
});
