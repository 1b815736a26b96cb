import assert from "node:assert/strict";
import { test } from "node:test";
import { createFullness } from "../../streams/fullness.ts";

test("the first dispatch asks whether its lane takes any, then one now and then, and each as long as it was full", () => {
  let now = 0;
  const fullness = createFullness(() => now);
  const asked = (count: number) => Array.from({ length: count }, () => fullness.asks());
  assert.deepEqual(asked(3), [true, false, false]);
  now = 199;
  assert.deepEqual(asked(1), [false]);
  now = 200;
  assert.deepEqual(asked(2), [true, false]);
  fullness.wasFull();
  assert.deepEqual(asked(1), [true]);
  fullness.wasFull();
  assert.deepEqual(asked(2), [true, false]);
});
