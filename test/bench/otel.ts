// `node test/bench/otel.ts [--runs 30000] [--rounds 3]`: what traces and metrics cost a worker, in one run: no SDK, and an SDK that samples
// nothing, one run in a hundred, and all. Each measurement is a process of its own, and they take turns, so that what else
// the machine does falls on all of them. Spans go to a collector in this process that reads and forgets them.
import { fork } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { startTelemetry } from "../../otel/bootstrap.ts";
import { createBroker } from "../../src/broker.ts";
import { startRedis } from "../../src/dev/start-redis.ts";
import { createWorker } from "../../src/worker.ts";

const { values } = parseArgs({
  options: {
    runs: { type: "string", default: "30000" },
    rounds: { type: "string", default: "3" },
    work: { type: "string" },
    ratio: { type: "string", default: "none" },
  },
});
const runCount = Number(values.runs);
const quiet = { debug() {}, info() {}, warn() {}, error: console.error, child: () => quiet };
const RATIOS = ["none", "0", "0.01", "1"];

/** What one process has measured. */
interface Figures {
  readonly perSecond: number;
  readonly cpuMicros: number;
  readonly dropped: number;
}

if (values.work !== undefined) await measure(values.work);
else await compare();

async function measure(url: string): Promise<void> {
  await using telemetry = values.ratio === "none" ? undefined : await startTelemetry({ report: () => {} });
  const broker = createBroker({ redis: url, namespace: `bench-${process.pid}`, logger: quiet });
  let done = 0;
  const all = Promise.withResolvers<void>();
  const noop = broker.task({
    name: "noop",
    async run() {
      done += 1;
      if (done === runCount) all.resolve();
    },
  });
  for (let sent = 0; sent < runCount; sent += 5_000) await noop.kiqMany(Array.from({ length: 5_000 }));
  const worker = createWorker(broker, { concurrency: 100 });
  const cpu = process.cpuUsage();
  const startedAt = performance.now();
  void worker.run();
  await all.promise;
  const tookMs = performance.now() - startedAt;
  const { user, system } = process.cpuUsage(cpu);
  await worker.stop();
  await broker.close();
  await telemetry?.shutdown();
  const figures: Figures = {
    perSecond: (runCount / tookMs) * 1_000,
    cpuMicros: (user + system) / runCount,
    dropped: telemetry?.droppedCount() ?? 0,
  };
  process.send?.(figures);
}

async function compare(): Promise<void> {
  await using redis = await startRedis();
  const collector = createServer((request, response) => {
    request.resume().on("end", () => response.end("{}"));
  });
  collector.listen(0, "127.0.0.1");
  await once(collector, "listening");
  const endpoint = `http://127.0.0.1:${(collector.address() as AddressInfo).port}`;
  const found = new Map<string, Figures[]>(RATIOS.map((ratio) => [ratio, []]));
  for (let round = 0; round < Number(values.rounds); round += 1) {
    for (const ratio of RATIOS) found.get(ratio)?.push(await inProcess(ratio, redis.url, endpoint));
  }
  collector.closeAllConnections();
  collector.close();
  print(found);
}

async function inProcess(ratio: string, url: string, endpoint: string): Promise<Figures> {
  const env = {
    ...process.env,
    OTEL_EXPORTER_OTLP_ENDPOINT: endpoint,
    OTEL_TRACES_SAMPLER: "parentbased_traceidratio",
    OTEL_TRACES_SAMPLER_ARG: ratio,
  };
  const child = fork(fileURLToPath(import.meta.url), ["--work", url, "--ratio", ratio, "--runs", values.runs], { env });
  const [figures] = (await once(child, "message")) as [Figures];
  await once(child, "exit");
  return figures;
}

function print(found: ReadonlyMap<string, readonly Figures[]>): void {
  const median = (all: readonly number[]) => [...all].sort((a, b) => a - b)[Math.floor(all.length / 2)] as number;
  const of = (ratio: string, pick: (figures: Figures) => number) => median((found.get(ratio) ?? []).map(pick));
  const rows = RATIOS.map((ratio) => {
    const perSecond = of(ratio, (one) => one.perSecond);
    const cpu = of(ratio, (one) => one.cpuMicros);
    const percent = (value: number, base: number) => `${((value / base) * 100).toFixed(0)}%`;
    return {
      sampled: ratio === "none" ? "no SDK" : `${Number(ratio) * 100}%`,
      "runs/s": Math.round(perSecond),
      "of no SDK": percent(
        perSecond,
        of("none", (one) => one.perSecond),
      ),
      "CPU µs/run": Number(cpu.toFixed(1)),
      "CPU of no SDK": percent(
        cpu,
        of("none", (one) => one.cpuMicros),
      ),
      "spans dropped": of(ratio, (one) => one.dropped),
    };
  });
  console.table(rows);
}
