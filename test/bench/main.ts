// `npm run bench [-- NAME…] [--rounds 3] [--scale 1] [--json]`: contenders take turns, each on a Redis of its own; medians, and ratios to BullMQ in the same run.
import { cpus } from "node:os";
import { parseArgs } from "node:util";
import { Redis } from "ioredis";
import { startRedis } from "../../src/dev/start-redis.ts";
import { bullmq } from "./bullmq.ts";
import type { Contender } from "./contender.ts";
import { raw } from "./raw.ts";
import { tasktrail } from "./tasktrail.ts";

/** One measure: higher is better for a rate, lower for bytes. */
interface Measure {
  readonly name: string;
  readonly unit: "runs/s" | "bytes/run";
  readonly contenders: readonly Contender[];
  take(contender: Contender, url: string, scale: number): Promise<number>;
}

const all = [tasktrail, bullmq, raw];
const rate = (count: number, tookMs: number) => (count / tookMs) * 1_000;

const enqueueing = (
  name: string,
  base: { readonly count: number; readonly inFlight: number; readonly bytes: number },
): Measure => ({
  name,
  unit: "runs/s",
  contenders: all,
  async take(contender, url, scale) {
    const order = { ...base, count: Math.ceil(base.count * scale) };
    const begun = performance.now();
    await contender.enqueue(url, order);
    return rate(order.count, performance.now() - begun);
  },
});

const working = (concurrency: number, base: number): Measure => ({
  name: `work-${concurrency}`,
  unit: "runs/s",
  contenders: all,
  async take(contender, url, scale) {
    const count = Math.ceil(base * scale);
    return rate(count, await contender.work(url, { count, inFlight: 1, bytes: 100, concurrency }));
  },
});

const memory = (bytes: number): Measure => ({
  name: `memory-${bytes}B`,
  unit: "bytes/run",
  contenders: [tasktrail, bullmq],
  async take(contender, url, scale) {
    const redis = new Redis(url, { protocol: 2 });
    const used = async () => Number(/used_memory:(\d+)/.exec(await redis.info("memory"))?.[1]);
    const count = Math.ceil(20_000 * scale);
    const before = await used();
    await contender.enqueueBulk(url, { count, inFlight: 1, bytes });
    const after = await used();
    redis.disconnect();
    return (after - before) / count;
  },
});

const measures: readonly Measure[] = [
  enqueueing("enqueue-1", { count: 4_000, inFlight: 1, bytes: 100 }),
  enqueueing("enqueue-256", { count: 40_000, inFlight: 256, bytes: 100 }),
  {
    name: "enqueue-bulk",
    unit: "runs/s",
    contenders: all,
    async take(contender, url, scale) {
      const count = Math.ceil(40_000 * scale);
      const begun = performance.now();
      await contender.enqueueBulk(url, { count, inFlight: 1, bytes: 100 });
      return rate(count, performance.now() - begun);
    },
  },
  working(1, 5_000),
  working(10, 20_000),
  working(100, 40_000),
  working(500, 40_000),
  memory(100),
  memory(10_000),
];

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: "string", default: "3" },
    scale: { type: "string", default: "1" },
    json: { type: "boolean", default: false },
  },
});
const chosen = positionals.length === 0 ? measures : measures.filter(({ name }) => positionals.includes(name));
if (chosen.length === 0) {
  console.error(
    `there is no measure "${positionals.join(" ")}"; there are: ${measures.map(({ name }) => name).join(", ")}`,
  );
  process.exit(2);
}
const median = (numbers: readonly number[]) =>
  numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] as number;

const rows: { measure: string; unit: string; medians: Record<string, number>; ratioToBullmq: number }[] = [];
for (const measure of chosen) {
  const taken = new Map<string, number[]>();
  for (let round = 0; round < Number(values.rounds); round += 1) {
    for (const contender of measure.contenders) {
      await using server = await startRedis();
      const value = await measure.take(contender, server.url, Number(values.scale));
      taken.set(contender.name, [...(taken.get(contender.name) ?? []), value]);
    }
  }
  const medians = Object.fromEntries([...taken].map(([name, numbers]) => [name, Math.round(median(numbers))]));
  const ratio = (medians[tasktrail.name] as number) / (medians[bullmq.name] as number);
  rows.push({ measure: measure.name, unit: measure.unit, medians, ratioToBullmq: Math.round(ratio * 100) / 100 });
  console.error(`${measure.name}: ${JSON.stringify(medians)}, ${ratio.toFixed(2)} times BullMQ`);
}
if (values.json)
  console.log(
    JSON.stringify({
      at: new Date().toISOString(),
      node: process.version,
      cpus: cpus().length,
      rounds: Number(values.rounds),
      rows,
    }),
  );
else {
  console.log(`| measure | unit | Tasktrail | BullMQ | raw commands | Tasktrail : BullMQ |\n|---|---|---|---|---|---|`);
  for (const { measure, unit, medians, ratioToBullmq } of rows) {
    const cell = (contender: Contender) => medians[contender.name]?.toLocaleString("en") ?? "–";
    console.log(`| ${measure} | ${unit} | ${cell(tasktrail)} | ${cell(bullmq)} | ${cell(raw)} | ${ratioToBullmq} |`);
  }
}
process.exit(0);
