// `node test/bench/otel.ts [--runs 40000] [--rounds 5]`: what traces and metrics cost, in one run: nothing hung on, hooks without an SDK, and an
// SDK that samples nothing, one run in a hundred, and all. Each measurement is a process of its own, and they take turns, so that what
// else the machine does falls on all of them; the least of all rounds is told, since what disturbs only ever adds.
// Spans go to a collector in this process that reads and forgets them.
import { fork } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { cpus, loadavg } from "node:os";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { startTelemetry } from "../../otel/bootstrap.ts";
import { attachTelemetry } from "../../otel/hooks.ts";
import { createBroker } from "../../src/broker.ts";
import { startRedis } from "../../src/dev/start-redis.ts";
import { createWorker } from "../../src/worker.ts";

const { values } = parseArgs({
  options: {
    runs: { type: "string", default: "40000" },
    rounds: { type: "string", default: "5" },
    work: { type: "string" },
    how: { type: "string", default: "none" },
  },
});
const runCount = Number(values.runs);
/** Runs that are done before the clock is read: a process that has just begun is slower than any that works. */
const warmUpCount = Math.floor(runCount / 4);
const IN_FLIGHT = 256;
const quiet = { debug() {}, info() {}, warn() {}, error: console.error, child: () => quiet };
const WAYS = { none: "nothing hung on", hooks: "hooks, no SDK", "0": "SDK, 0%", "0.01": "SDK, 1%", "1": "SDK, 100%" };

/** What one process has measured: processor time in µs. */
interface Figures {
  readonly perRun: number;
  readonly perDispatch: number;
  readonly runsPerSecond: number;
  readonly dropped: number;
}

if (values.work !== undefined) await measure(values.work);
else await compare();

async function measure(url: string): Promise<void> {
  await using telemetry = /none|hooks/.test(values.how) ? undefined : await startTelemetry({ report: () => {} });
  using _hooks = values.how === "hooks" ? attachTelemetry() : undefined;
  const broker = createBroker({ redis: url, namespace: `bench-${process.pid}`, logger: quiet });
  const [warm, all] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  let done = 0;
  const noop = broker.task({
    name: "noop",
    async run() {
      done += 1;
      if (done === warmUpCount) warm.resolve();
      if (done === runCount) all.resolve();
    },
  });
  // Half of the runs are dispatched one by one, whose attempts are children of their dispatch; the others together.
  await dispatch(() => noop.kiq(), warmUpCount);
  const before = process.cpuUsage();
  await dispatch(() => noop.kiq(), warmUpCount);
  const perDispatch = microsSince(before) / warmUpCount;
  for (let sent = 2 * warmUpCount; sent < runCount; sent += 1_000) {
    await noop.kiqMany(Array.from({ length: Math.min(1_000, runCount - sent) }));
  }
  const worker = createWorker(broker, { concurrency: 100 });
  void worker.run();
  await warm.promise;
  const cpu = process.cpuUsage();
  const startedAt = performance.now();
  await all.promise;
  const count = runCount - warmUpCount;
  const runsPerSecond = (count / (performance.now() - startedAt)) * 1_000;
  const perRun = microsSince(cpu) / count;
  await worker.stop();
  await broker.close();
  await telemetry?.shutdown();
  const figures: Figures = { perRun, perDispatch, runsPerSecond, dropped: telemetry?.droppedCount() ?? 0 };
  process.send?.(figures);
}

function microsSince(before: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(before);
  return user + system;
}

async function dispatch(one: () => Promise<unknown>, count: number): Promise<void> {
  let left = count;
  const lane = async () => {
    while (left > 0) {
      left -= 1;
      await one();
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, lane));
}

async function compare(): Promise<void> {
  await using redis = await startRedis();
  const collector = createServer((request, response) => {
    request.resume().on("end", () => response.end("{}"));
  });
  collector.listen(0, "127.0.0.1");
  await once(collector, "listening");
  const endpoint = `http://127.0.0.1:${(collector.address() as AddressInfo).port}`;
  const found = new Map<string, Figures[]>(Object.keys(WAYS).map((way) => [way, []]));
  for (let round = 0; round < Number(values.rounds); round += 1) {
    for (const [way, figures] of found) figures.push(await inProcess(way, redis.url, endpoint));
  }
  collector.closeAllConnections();
  collector.close();
  print(found);
}

async function inProcess(way: string, url: string, endpoint: string): Promise<Figures> {
  const env = {
    ...process.env,
    OTEL_EXPORTER_OTLP_ENDPOINT: endpoint,
    OTEL_TRACES_SAMPLER: "parentbased_traceidratio",
    OTEL_TRACES_SAMPLER_ARG: way,
  };
  const child = fork(fileURLToPath(import.meta.url), ["--work", url, "--how", way, "--runs", values.runs], { env });
  const [figures] = (await once(child, "message")) as [Figures];
  await once(child, "exit");
  return figures;
}

function print(found: ReadonlyMap<string, readonly Figures[]>): void {
  const least = (way: string, pick: (figures: Figures) => number) => Math.min(...(found.get(way) ?? []).map(pick));
  const most = (way: string, pick: (figures: Figures) => number) => Math.max(...(found.get(way) ?? []).map(pick));
  const relative = (value: number, base: number) => `${((value / base) * 100).toFixed(0)}%`;
  const load = loadavg()[0]?.toFixed(1);
  console.log(
    `${new Date().toISOString().slice(0, 10)}, ${cpus().length} cores, load ${load}, Node ${process.versions.node}, ${values.rounds} rounds of ${values.runs} runs\n`,
  );
  console.log("| telemetry | CPU a run | | CPU a dispatch | | runs/s | spans dropped |\n|---|---|---|---|---|---|---|");
  for (const [way, words] of [...found.keys()].map((key) => [key, WAYS[key as keyof typeof WAYS]] as const)) {
    const cells = [
      ...(["perRun", "perDispatch"] as const).flatMap((name) => {
        const value = least(way, (one) => one[name]);
        return [
          `${value.toFixed(1)} µs`,
          relative(
            value,
            least("none", (one) => one[name]),
          ),
        ];
      }),
      Math.round(most(way, (one) => one.runsPerSecond)).toLocaleString("en"),
      most(way, (one) => one.dropped),
    ];
    console.log(`| ${words} | ${cells.join(" | ")} |`);
  }
}
