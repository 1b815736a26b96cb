import { setTimeout as delay } from "node:timers/promises";
import { fill } from "../backlog.ts";
import type { Bench, Setting, StepInProcess } from "../bench.ts";
import { contenderNamed, queues } from "../contenders/all.ts";

const PROCESSES = 4;

/** Four worker processes on one backlog. The rate is told by the backlog, from when a third of it is done until nothing is left. */
export const processes: Bench = {
  name: "processes-4",
  what: "no-op runs, four worker processes of concurrency 100",
  contenders: queues,
  figures: [{ name: "rate", unit: "runs/s", better: "higher" }],
  steps: {
    async fill({ setting }) {
      await using client = await contenderNamed(setting.contender).open(setting.redis, { payload: "small" });
      await fill(client, { count: countOf(setting), payload: "small" });
      return {};
    },
    async work({ setting, signal, ready }) {
      await using client = await contenderNamed(setting.contender).open(setting.redis, { payload: "small" });
      await using _worker = await client.work({ concurrency: 100, run: async () => {} });
      ready();
      await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
      return {};
    },
  },
  async play(setting, start) {
    await start("fill").figures;
    await using client = await contenderNamed(setting.contender).open(setting.redis, { payload: "small" });
    const workers: StepInProcess[] = Array.from({ length: PROCESSES }, () => start("work"));
    try {
      const count = countOf(setting);
      while ((await client.leftCount()) > count * (2 / 3)) await delay(2);
      const [first, begun] = [await client.leftCount(), performance.now()];
      while ((await client.leftCount()) > 0) await delay(2);
      const rate = (first / (performance.now() - begun)) * 1_000;
      await Promise.all(workers.map((worker) => worker.stop()));
      return { rate };
    } finally {
      for (const worker of workers) await worker[Symbol.asyncDispose]();
    }
  },
};

function countOf({ contender, scale }: Setting): number {
  return Math.ceil(22_000 * contenderNamed(contender).pace * scale);
}
