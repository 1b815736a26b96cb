import { setTimeout as delay } from "node:timers/promises";
import { fill, timeBacklog } from "../backlog.ts";
import type { Bench, StepDesk } from "../bench.ts";
import { contenderNamed, queues, withCeiling } from "../contenders/all.ts";
import type { PayloadKind } from "../payload.ts";

interface Backlogged {
  readonly name: string;
  readonly what: string;
  /** Runs for the slowest, those that warm up not counted. */
  readonly count: number;
  readonly concurrency: number;
  /** Whether the ceiling is of interest. Default true. */
  readonly hasCeiling?: boolean;
  /** How long a handler waits for something else, in ms. */
  readonly ioMs?: number;
  readonly payload?: PayloadKind;
  readonly queueCount?: number;
  /** With 2, the first attempt of each run fails. */
  readonly attempts?: number;
  /** All are due at the same instant, and work begins then. */
  readonly isDelayed?: boolean;
}

/** A delayed backlog is there by then, and due, in ms. */
const FILLED_WITHIN_MS = 2_500;
const withoutCeiling = { hasCeiling: false };

/** Working a backlog with one worker. */
export const workBenches: readonly Bench[] = [
  { name: "work-1", what: "no-op runs, concurrency 1", count: 4_000, concurrency: 1 },
  { name: "work-10", what: "no-op runs, concurrency 10", count: 8_000, concurrency: 10 },
  { name: "work-100", what: "no-op runs, concurrency 100", count: 12_000, concurrency: 100 },
  { name: "work-500", what: "no-op runs, concurrency 500", count: 12_000, concurrency: 500 },
  {
    ...withoutCeiling,
    name: "io-1ms",
    what: "runs that wait for 1 ms, concurrency 100",
    count: 8_000,
    concurrency: 100,
    ioMs: 1,
  },
  {
    ...withoutCeiling,
    name: "io-10ms",
    what: "runs that wait for 10 ms, concurrency 100",
    count: 4_000,
    concurrency: 100,
    ioMs: 10,
  },
  {
    name: "work-10k",
    what: "no-op runs with inputs of 10 KB, concurrency 100",
    count: 1_000,
    concurrency: 100,
    payload: "order" as const,
  },
  {
    ...withoutCeiling,
    name: "queues-10",
    what: "no-op runs in 10 queues, one worker process, concurrency 100",
    count: 10_000,
    concurrency: 100,
    queueCount: 10,
  },
  {
    ...withoutCeiling,
    name: "delayed",
    what: "no-op runs that become due at the same instant, concurrency 100",
    count: 6_000,
    concurrency: 100,
    isDelayed: true,
  },
  {
    ...withoutCeiling,
    name: "retries",
    what: "no-op runs whose first attempt fails, concurrency 100",
    count: 4_000,
    concurrency: 100,
    attempts: 2,
  },
].map(backlogged);

function backlogged(said: Backlogged): Bench {
  const { payload = "small", queueCount = 1, attempts = 1, isDelayed = false, ioMs = 0 } = said;
  const shape = { payload, queueCount, attempts };
  return {
    name: said.name,
    what: said.what,
    contenders: said.hasCeiling === false ? queues : withCeiling,
    figures: [
      { name: "rate", unit: "runs/s", better: "higher" },
      { name: "node", unit: "µs/run in Node", better: "lower" },
      { name: "redis", unit: "µs/run of Redis' processor", better: "lower" },
      { name: "commands", unit: "µs/run in Redis' commands", better: "lower" },
    ],
    steps: {
      async fill({ setting }) {
        const { count } = sizeOf(said, setting);
        await using client = await contenderNamed(setting.contender).open(setting.redis, shape);
        const dueAt = Date.now() + FILLED_WITHIN_MS;
        const delayMs = () => (isDelayed ? Math.max(1, dueAt - Date.now()) : 0);
        await fill(client, { count, payload, queueCount, delayMs });
        while (isDelayed && Date.now() < dueAt + 5) await delay(10);
        return {};
      },
      async work({ setting }) {
        const { count, warmCount } = sizeOf(said, setting);
        await using client = await contenderNamed(setting.contender).open(setting.redis, shape);
        const { concurrency } = said;
        const run = async (attempt: number) => {
          if (ioMs > 0) await delay(ioMs);
          if (attempt < attempts) throw new Error("the first attempt fails");
        };
        return await timeBacklog({ url: setting.redis, client, count, warmCount, concurrency, attempts, run });
      },
    },
    async play(_setting, start) {
      await start("fill").figures;
      return start("work").figures;
    },
  };
}

/** As many again as half of what is measured warm up. */
function sizeOf({ count, ioMs = 0 }: Backlogged, setting: StepDesk["setting"]) {
  const pace = ioMs >= 10 ? 2 : contenderNamed(setting.contender).pace;
  const measured = Math.ceil(count * pace * setting.scale);
  const warmCount = Math.ceil(measured / 2);
  return { count: measured + warmCount, warmCount };
}
