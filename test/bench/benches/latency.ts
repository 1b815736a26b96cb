import { setTimeout as delay } from "node:timers/promises";
import type { Bench, Figures } from "../bench.ts";
import { contenderNamed, queues } from "../contenders/all.ts";
import type { Client, Input } from "../contenders/contender.ts";
import { makePayloads } from "../payload.ts";

/** Shares of what the contender itself can take, in percent, and one rate that is the same for all. */
const LOADS = [10, 50, 90] as const;
const SAME_RATE = 1_000;
const PHASES: readonly { readonly name: string; readonly rate: (capacity: number) => number }[] = [
  ...LOADS.map((percent) => ({ name: `at ${percent}% load`, rate: (capacity: number) => (capacity * percent) / 100 })),
  { name: `at ${SAME_RATE.toLocaleString("en")} runs/s`, rate: () => SAME_RATE },
];
const QUANTILES = [
  ["p50", 0.5],
  ["p99", 0.99],
  ["p99.9", 0.999],
] as const;
const PHASE_MS = 3_000;
/** A producer that comes to a tick later than this was held up, and its runs are stamped with when they were due. */
const HELD_UP_MS = 2;

/**
 * From the call that dispatches a run to the start of its handler, with one producer and one worker in processes of their own, concurrency 100. The
 * load is open: runs are dispatched when they are due, however those before them fare. Capacity is what both can keep up together.
 */
export const latency: Bench = {
  name: "latency",
  what: "from dispatch to start, one producer and one worker, concurrency 100",
  contenders: queues,
  figures: [
    { name: "capacity", unit: "runs/s", better: "higher" },
    ...PHASES.flatMap(({ name }) =>
      QUANTILES.map(([quantile]) => ({ name: `${quantile} ${name}`, unit: "ms", better: "lower" }) as const),
    ),
  ],
  steps: {
    async work({ setting, signal, ready }) {
      await using client = await contenderNamed(setting.contender).open(setting.redis, { payload: "small" });
      const samples = PHASES.map((): number[] => []);
      const run = async ({ sentAt, campaign }: Input) => {
        const phase = samples[Number(campaign)];
        phase?.push(now() - Number(sentAt));
      };
      await using _worker = await client.work({ concurrency: 100, run });
      ready();
      await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
      return Object.fromEntries(PHASES.flatMap(({ name }, at) => quantilesOf(name, samples[at] ?? [])));
    },
    async produce({ setting }): Promise<Figures> {
      await using client = await contenderNamed(setting.contender).open(setting.redis, { payload: "small" });
      await saturate(client, 1_500 * setting.scale); // warms up
      const capacity = await saturate(client, 2_500 * setting.scale);
      for (const [at, { rate }] of PHASES.entries())
        await load(client, { rate: rate(capacity), forMs: PHASE_MS * Math.max(0.5, setting.scale), phase: at });
      return { capacity };
    },
  },
  async play(_setting, start) {
    await using worker = start("work");
    await worker.ready;
    const { capacity = 0 } = await start("produce").figures;
    return { capacity, ...(await worker.stop()) };
  },
};

/** Milliseconds on a clock that all processes of the machine share, and that nobody sets. */
function now(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

function quantilesOf(phase: string, samples: readonly number[]): [string, number][] {
  const sorted = samples.toSorted((a, b) => a - b);
  return QUANTILES.map(([name, share]) => [
    `${name} ${phase}`,
    sorted[Math.floor((sorted.length - 1) * share)] ?? Number.NaN,
  ]);
}

/** Keeps 256 dispatches under way for a while, waits until all of them are done, and gives the rate of the whole. */
async function saturate(client: Client, forMs: number): Promise<number> {
  const [input] = makePayloads("small", 1) as [Input];
  const unmeasured = { ...input, campaign: "none" };
  const begun = performance.now();
  let sent = 0;
  const one = async () => {
    while (performance.now() - begun < forMs) {
      await client.send(unmeasured);
      sent += 1;
    }
  };
  await Promise.all(Array.from({ length: 256 }, one));
  await settled(client);
  return (sent / (performance.now() - begun)) * 1_000;
}

/** Dispatches runs as they are due, on a grid of milliseconds. What a dispatch gives is let go of at once, as by an application: kept, it would be the garbage collector that is measured. */
async function load(client: Client, order: { rate: number; forMs: number; phase: number }): Promise<void> {
  const [input] = makePayloads("small", 1) as [Input];
  const begun = now();
  let error: unknown;
  let underWay = 0;
  const send = async (one: Input) => {
    underWay += 1;
    try {
      await client.send(one);
    } catch (refused) {
      error ??= refused;
    }
    underWay -= 1;
  };
  for (let sent = 0; ; ) {
    const at = now();
    if (at - begun >= order.forMs) break;
    for (const due = ((at - begun) / 1_000) * order.rate; sent < due; sent += 1) {
      const wanted = begun + (sent / order.rate) * 1_000;
      const sentAt = at - wanted > HELD_UP_MS ? wanted : now();
      void send({ ...input, campaign: String(order.phase), sentAt });
    }
    await delay(1);
  }
  while (underWay > 0) await delay(1);
  if (error !== undefined) throw error;
  await settled(client);
}

async function settled(client: Client): Promise<void> {
  while ((await client.leftCount()) > 0) await delay(5);
}
