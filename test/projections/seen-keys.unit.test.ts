import assert from "node:assert/strict";
import { test } from "node:test";
import { createSeenKeys } from "../../projections/seen-keys.ts";
import { createRunIds } from "../../streams/ids.ts";

test("what was added is known for ever, and of what was not hardly anything is taken for it", () => {
  const ids = createRunIds("default");
  const draw = () => Array.from({ length: 50_000 }, (_, n) => ids(1_700_000_000_000 + n));
  const [added, others] = [draw(), draw()];
  const seen = createSeenKeys(added.length);
  for (const key of added) seen.add(key);
  assert.ok(added.every((key) => seen.mayHave(key)));
  const wrong = others.filter((key) => seen.mayHave(key)).length;
  assert.ok(wrong < 500, `${wrong} of 50,000`);
});
