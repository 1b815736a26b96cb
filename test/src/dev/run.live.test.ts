import assert from "node:assert/strict";
import { test } from "node:test";
import manifest from "../../../package.json" with { type: "json" };
import { runTypeScript } from "../../../src/dev/run.ts";

test("the TypeScript that checks and builds is the one that package.json names so, beside the older ones", async () => {
  const { code, output } = await runTypeScript(["--version"], { capture: true });
  assert.deepEqual([code, output.trim()], [0, `Version ${manifest.devDependencies.typescript}`]);
});
