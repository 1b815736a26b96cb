// `npm run test:crash [-- --scenario NAME --seed N --size N --json]`: plays the faults, and prints what came of them.
import { parseArgs } from "node:util";
import { scenarios } from "./all.ts";
import { perform, type Report } from "./scenario.ts";
import { toTable } from "./table.ts";

const { values } = parseArgs({
  options: {
    scenario: { type: "string" },
    seed: { type: "string" },
    size: { type: "string" },
    json: { type: "boolean" },
    small: { type: "boolean" },
  },
});
const chosen =
  values.scenario === undefined
    ? scenarios
    : scenarios.filter((scenario) => values.scenario?.split(",").includes(scenario.name));
if (chosen.length === 0) {
  console.error(
    `there is no scenario "${values.scenario}"; there are: ${scenarios.map((scenario) => scenario.name).join(", ")}`,
  );
  process.exit(2);
}
const seed = Number(values.seed ?? Date.now() % 1_000_000);
console.error(`seed ${seed}`);

const reports: Report[] = [];
for (const scenario of chosen) {
  const size = Number(values.size ?? (values.small ? scenario.sizes.small : scenario.sizes.ladder));
  console.error(`${scenario.name}: ${scenario.what} (${size} runs)`);
  const report = await perform(scenario, { seed, size });
  for (const failure of report.failures) console.error(`  ${failure}`);
  console.error(
    `  ${report.failures.length === 0 ? "passed" : "FAILED"} in ${Math.round(report.tookMs / 1_000)} s: ${JSON.stringify(report.verdict)}`,
  );
  reports.push(report);
}
console.log(values.json ? JSON.stringify(reports) : toTable(reports));
process.exit(reports.every((report) => report.failures.length === 0) ? 0 : 1);
