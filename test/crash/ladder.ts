// `npm run test:crash [-- --scenario NAME,… --seed N --size N --small --json --write]`: plays the faults, and prints what came of them.
// With --write, the table goes into docs/delivery.md, too.
import { parseArgs } from "node:util";
import { scenarios } from "./all.ts";
import { perform } from "./perform.ts";
import { conditions, writeTable } from "./record.ts";
import type { Report } from "./scenario.ts";
import { toSummary, toTable } from "./table.ts";

const { values } = parseArgs({
  options: {
    scenario: { type: "string" },
    seed: { type: "string" },
    size: { type: "string" },
    json: { type: "boolean" },
    small: { type: "boolean" },
    write: { type: "boolean" },
  },
});
const names = values.scenario?.split(",");
const unknown = names?.filter((name) => !scenarios.some((scenario) => scenario.name === name)) ?? [];
if (unknown.length > 0) {
  const known = scenarios.map((scenario) => scenario.name).join(", ");
  console.error(`there is no scenario "${unknown.join('", "')}"; there are: ${known}`);
  process.exit(2);
}
const chosen = scenarios.filter(({ name }) => names?.includes(name) ?? true);
const seed = Number(values.seed ?? Date.now() % 1_000_000);
console.error(`seed ${seed}`);
const where = conditions({ seed, options: values });

const reports: Report[] = [];
for (const scenario of chosen) {
  const size = Number(values.size ?? (values.small ? scenario.sizes.small : scenario.sizes.ladder));
  console.error(`${scenario.name}: ${scenario.what} (${size} runs)`);
  const report = await perform(scenario, { seed, size });
  for (const failure of report.failures) console.error(`  ${failure}`);
  for (const remark of report.remarks) console.error(`  ${remark}`);
  const outcome = report.failures.length === 0 ? "passed" : "FAILED";
  console.error(`  ${outcome} in ${Math.round(report.tookMs / 1_000)} s: ${JSON.stringify(report.verdict)}`);
  reports.push(report);
}
const text = [where, "", toTable(reports), "", toSummary(reports)].join("\n");
console.log(values.json ? JSON.stringify(reports) : text);
if (values.write) writeTable(text);
process.exit(reports.every((report) => report.failures.length === 0) ? 0 : 1);
