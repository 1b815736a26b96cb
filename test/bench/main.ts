// `npm run bench [-- NAME…]`: contenders take turns, each measurement in processes and on a Redis of its own; medians, and ratios in one run.
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { startRedis } from "../../src/dev/start-redis.ts";
import { benches } from "./all.ts";
import type { Bench } from "./bench.ts";
import { openDatabases } from "./databases.ts";
import { describeMachine, load } from "./machine.ts";
import { type Amount, measure } from "./measure.ts";
import { appendHistory, writePage } from "./page.ts";
import { type Report, toTable } from "./report.ts";

const HELP = `npm run bench [-- NAME… OPTIONS]

Measures Tasktrail, BullMQ and bare commands in turns, and prints medians and ratios. Without a name: all but those marked * in --list.

  --list          the benches
  --quick         one round at a third of the size, in about 3 minutes
  --rounds N      how often each is measured (3)
  --scale X       how much is done in each measurement (1)
  --json          prints the report as JSON
  --from FILE     measures nothing: takes the report of an earlier --json
  --write FILE    puts the table between the markers of a document, such as docs/performance.md
  --record        appends the ratios to test/bench/history.jsonl

npm run bench -- work-100 --rounds 5
npm run bench -- outbox              all whose names begin with it`;

const options = {
  help: { type: "boolean", default: false },
  list: { type: "boolean", default: false },
  quick: { type: "boolean", default: false },
  rounds: { type: "string" },
  scale: { type: "string" },
  json: { type: "boolean", default: false },
  from: { type: "string" },
  write: { type: "string" },
  record: { type: "boolean", default: false },
} as const;

const { values, positionals } = parseArgs({ allowPositionals: true, options });
if (values.help) console.log(HELP);
else if (values.list)
  for (const bench of benches) console.log(`${bench.isExtra ? "*" : " "} ${bench.name.padEnd(16)} ${bench.what}`);
else await run();

async function run(): Promise<void> {
  const report =
    values.from === undefined ? await measureAll() : (JSON.parse(readFileSync(values.from, "utf8")) as Report);
  console.log(values.json ? JSON.stringify(report) : toTable(report));
  if (values.write !== undefined) writePage(values.write, report);
  if (values.record) appendHistory(report);
}

async function measureAll(): Promise<Report> {
  const chosen = choose(positionals);
  const amount: Amount = {
    rounds: positive("rounds", values.rounds, values.quick ? 1 : 3),
    scale: positive("scale", values.scale, values.quick ? 0.33 : 1),
  };
  const at = new Date().toISOString();
  const before = load();
  await using databases = openDatabases();
  const outcomes = [];
  for (const bench of chosen) {
    const outcome = await measure(bench, amount, databases).catch((error: unknown) => {
      console.error(`${bench.name} FAILED:`, error);
      process.exitCode = 1;
    });
    if (outcome === undefined) continue; // the others are worth having
    const [first] = outcome.figures;
    const ratio = first?.ratio === undefined ? "" : `, ${first.ratio} times ${first.against}`;
    console.error(
      `${bench.name}: ${JSON.stringify(first?.medians)} ${first?.unit}${ratio}; others used ${outcome.othersBusy.median}%`,
    );
    outcomes.push(outcome);
  }
  await using server = await startRedis();
  const command = ["npm run bench", ...(process.argv.length > 2 ? ["--", ...process.argv.slice(2)] : [])].join(" ");
  return { at, command, machine: await describeMachine(server.url), ...amount, load: [before, load()], outcomes };
}

function choose(names: readonly string[]): readonly Bench[] {
  const isNamed = (bench: Bench, name: string) => bench.name === name || bench.name.startsWith(`${name}-`);
  const unknown = names.filter((name) => !benches.some((bench) => isNamed(bench, name)));
  if (unknown.length > 0) {
    console.error(
      `there is no bench "${unknown.join('", "')}"; there are: ${benches.map(({ name }) => name).join(", ")}`,
    );
    process.exit(64);
  }
  return benches.filter((bench) =>
    names.length === 0 ? bench.isExtra !== true : names.some((name) => isNamed(bench, name)),
  );
}

function positive(name: string, given: string | undefined, otherwise: number): number {
  const value = given === undefined ? otherwise : Number(given);
  if (value > 0) return value;
  console.error(`--${name} wants a number above 0, and not "${given}"`);
  process.exit(64);
}
