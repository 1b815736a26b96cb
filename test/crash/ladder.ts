// `npm run test:crash [-- --scenario NAME,… --seed N --size N --small --at-once N --json --write]`: plays the faults, and prints what came of them.
// Most of a fault is waiting, for a lease to lapse or a server to come back: several are played side by side, each on servers of its own.
// With --write, the table goes into docs/delivery.md, too.
import { parseArgs } from "node:util";
import { scenarios } from "./all.ts";
import { perform } from "./perform.ts";
import { conditions, writeTable } from "./record.ts";
import type { Report, Scenario } from "./scenario.ts";
import { toSummary, toTable } from "./table.ts";

/** Scenarios that two cores bear side by side. */
const AT_ONCE = 3;

const { values } = parseArgs({
  options: {
    scenario: { type: "string" },
    seed: { type: "string" },
    size: { type: "string" },
    json: { type: "boolean" },
    small: { type: "boolean" },
    write: { type: "boolean" },
    "at-once": { type: "string" },
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

/** Plays one, and tells of it when it is over: all its lines at once, since others are played beside it. */
async function play(scenario: Scenario): Promise<Report> {
  const size = Number(values.size ?? (values.small ? scenario.sizes.small : scenario.sizes.ladder));
  console.error(`${scenario.name} begins`);
  const report = await perform(scenario, { seed, size });
  const outcome = report.failures.length === 0 ? "passed" : "FAILED";
  const told = [...report.failures, ...report.remarks, `${outcome} in ${Math.round(report.tookMs / 1_000)} s`];
  const lines = [`${scenario.name}: ${scenario.what} (${size} runs)`, ...told, JSON.stringify(report.verdict)];
  console.error(lines.join("\n  "));
  return report;
}

const begun = performance.now();
const played = new Map<Scenario, Report>();
const rank = ({ isAlone = false, isLong = false }: Scenario) => (isAlone ? 0 : isLong ? 1 : 2);
const waiting = chosen.toSorted((a, b) => rank(a) - rank(b));
while (waiting[0]?.isAlone) {
  const next = waiting.shift() as Scenario;
  played.set(next, await play(next));
}
await Promise.all(
  Array.from({ length: Number(values["at-once"] ?? AT_ONCE) }, async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) played.set(next, await play(next));
  }),
);
const reports = chosen.map((scenario) => played.get(scenario) as Report);
const tookMs = performance.now() - begun;
const text = [where, "", toTable(reports), "", toSummary(reports, tookMs)].join("\n");
console.log(values.json ? JSON.stringify(reports) : text);
if (values.write) writeTable(text);
process.exit(reports.every((report) => report.failures.length === 0) ? 0 : 1);
