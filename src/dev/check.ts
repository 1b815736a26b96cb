// `npm run check`: the one gate before a commit. Format and lint, types, unit and architecture tests, side by side.
import { root, run, runTool } from "./run.ts";
import { testFiles } from "./test-files.ts";

const checks = {
  "format and lint": () =>
    runTool("biome", ["check", "--colors=off", "--diagnostic-level=warn", "--error-on-warnings"], { capture: true }),
  types: () => runTool("tsc", ["--noEmit", "--pretty", "false"], { capture: true }),
  "unit tests": () => {
    const files = testFiles(root, [], ["unit"]);
    // In one process, since half of the time would go into starting one for each file; `npm test` does isolate them.
    const flags = ["--test", "--test-isolation=none", "--test-force-exit", "--test-timeout=60000"];
    return run(process.execPath, [...process.execArgv, ...flags, ...files], { capture: true });
  },
};

const startedAt = performance.now();
const results = await Promise.all(Object.entries(checks).map(([name, check]) => report(name, check)));
console.log(`check ${results.every(Boolean) ? "passed" : "FAILED"} in ${seconds(startedAt)}`);
process.exitCode = results.every(Boolean) ? 0 : 1;

async function report(name: string, check: (typeof checks)["types"]): Promise<boolean> {
  const since = performance.now();
  const { code, output } = await check();
  if (code !== 0) console.log(`${output.trimEnd()}\n`);
  console.log(`${code === 0 ? "ok    " : "FAILED"} ${name} (${seconds(since)})`);
  return code === 0;
}

function seconds(since: number): string {
  return `${((performance.now() - since) / 1000).toFixed(1)} s`;
}
