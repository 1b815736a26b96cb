// `npm run check`: the one gate before a commit. Format and lint, types, unit and architecture tests, side by side.
import { join } from "node:path";
import { cacheFolder } from "./cache.ts";
import { program } from "./program.ts";
import { type Outcome, root, run, runTool, runTypeScript } from "./run.ts";
import { testFiles } from "./test-files.ts";

await program(async () => {
  const startedAt = performance.now();
  const files = testFiles(root, [], ["unit"]);
  const results = await Promise.all([
    report("format and lint", () => {
      const flags = ["--colors=off", "--diagnostic-level=warn", "--error-on-warnings"];
      return runTool("biome", ["check", ...flags], { capture: true });
    }),
    // On one thread: the other core has tests to run, and several checkers infer much of the same.
    report("types", () => runTypeScript(["--noEmit", "--pretty", "false", "--singleThreaded"], { capture: true })),
    report("unit tests, one half", () => runTests(files.filter((_, at) => at % 2 === 0))),
    report("unit tests, other half", () => runTests(files.filter((_, at) => at % 2 === 1))),
  ]);
  const isGood = results.every(Boolean);
  console.log(`check ${isGood ? "passed" : "FAILED"} in ${seconds(startedAt)}`);
  return isGood ? 0 : 1;
});

/** All in one process, for half of the time would go into starting one for each file; on Node's own type stripping, as it is started (`setup.mjs`). */
function runTests(files: readonly string[]): Promise<Outcome> {
  if (files.length === 0) return Promise.resolve({ code: 0, output: "" });
  const flags = ["--test", "--test-isolation=none", "--test-force-exit", "--test-timeout=60000"];
  const env = { ...process.env };
  env.NODE_COMPILE_CACHE ??= join(cacheFolder(), "compiled");
  return run(process.execPath, [...process.execArgv, ...flags, ...files], { capture: true, env });
}

async function report(name: string, check: () => Promise<Outcome>): Promise<boolean> {
  const since = performance.now();
  const { code, output } = await check();
  if (code !== 0) console.log(`${output.trimEnd()}\n`);
  console.log(`${code === 0 ? "ok    " : "FAILED"} ${name} (${seconds(since)})`);
  return code === 0;
}

function seconds(since: number): string {
  return `${((performance.now() - since) / 1000).toFixed(1)} s`;
}
