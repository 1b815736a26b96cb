import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { startTelemetry, type Telemetry } from "../../../otel/bootstrap.ts";
import { attachTelemetry } from "../../../otel/hooks.ts";
import { createBroker } from "../../../src/broker.ts";
import { createWorker } from "../../../src/worker.ts";
import type { Bench, Figures, StepDesk } from "../bench.ts";

/** Runs of one measurement, of which the first half warms up: what a run costs goes on falling for some 60,000 runs, as functions are compiled. */
const RUNS = 160_000;
/** Half of the runs are dispatched alone, whose attempts are children of their dispatch, and the others together, in turns of so many. */
const TURN = 10_000;
const IN_FLIGHT = 256;
const RATIOS: Readonly<Record<string, string>> = { "SDK, 0%": "0", "SDK, 1%": "0.01", "SDK, 100%": "1" };
const quiet = { debug() {}, info() {}, warn() {}, error: console.error, child: () => quiet };

/**
 * What traces and metrics cost: nothing hung on, hooks without an SDK, and an SDK that samples nothing, one run in a hundred, and all.
 * Processor time is the figure to go by. Spans go to a collector in a process of its own that reads and forgets them.
 */
export const otelBench: Bench = {
  name: "otel",
  what: "telemetry around runs that do nothing, concurrency 100",
  contenders: ["SDK, 1%", "SDK, 0%", "SDK, 100%", "hooks, no SDK", "no telemetry"],
  against: "no telemetry",
  figures: [
    { name: "node", unit: "µs/run in Node", better: "lower" },
    { name: "a dispatch", unit: "µs in Node", better: "lower" },
    { name: "rate", unit: "runs/s", better: "higher" },
    { name: "dropped", unit: "spans", better: "lower" },
  ],
  isExtra: true,
  steps: { work, collect },
  async play({ contender }, start) {
    if (RATIOS[contender] === undefined) return start("work").figures;
    const port = await freePort();
    await using collector = start("collect", { port });
    await collector.ready;
    const figures = await start("work", { endpoint: `http://127.0.0.1:${port}` }).figures;
    await collector.stop();
    return figures;
  },
};

/** A port that nobody has, for now. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function collect({ part, signal, ready }: StepDesk): Promise<undefined> {
  const server = createServer((request, response) => {
    request.resume().on("end", () => response.end("{}"));
  });
  server.listen(Number(part.port), "127.0.0.1");
  await once(server, "listening");
  ready();
  await once(signal, "abort");
}

async function work({ setting, part }: StepDesk): Promise<Figures> {
  await using telemetry = await start(setting.contender, part.endpoint);
  using _hooks = setting.contender === "hooks, no SDK" ? attachTelemetry() : undefined;
  const count = Math.ceil(RUNS * setting.scale);
  const half = Math.floor(count / 2);
  const broker = createBroker({ redis: setting.redis, namespace: "bench", logger: quiet });
  const [warm, all] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  let done = 0;
  const noop = broker.task({
    name: "noop",
    async run() {
      done += 1;
      if (done === half) warm.resolve();
      if (done === count) all.resolve();
    },
  });
  let dispatchMicros = 0;
  let dispatchCount = 0;
  for (let sent = 0; sent < count; sent += TURN) {
    const turn = Math.min(TURN, count - sent);
    const alone = Math.ceil(turn / 2);
    const before = process.cpuUsage();
    await dispatch(() => noop.kiq(), alone);
    if (sent >= half) {
      dispatchMicros += microsSince(before);
      dispatchCount += alone;
    }
    for (let left = turn - alone; left > 0; left -= 1_000) {
      await noop.kiqMany(Array.from({ length: Math.min(1_000, left) }));
    }
  }
  const worker = createWorker(broker, { concurrency: 100 });
  void worker.run();
  await warm.promise;
  const cpu = process.cpuUsage();
  const begun = performance.now();
  await all.promise;
  const rate = ((count - half) / (performance.now() - begun)) * 1_000;
  const node = microsSince(cpu) / (count - half);
  await worker.stop();
  await broker.close();
  await telemetry?.shutdown();
  return { node, "a dispatch": dispatchMicros / dispatchCount, rate, dropped: telemetry?.droppedCount() ?? 0 };
}

async function start(contender: string, endpoint: unknown): Promise<Telemetry | undefined> {
  const ratio = RATIOS[contender];
  if (ratio === undefined) return undefined;
  Object.assign(process.env, {
    OTEL_EXPORTER_OTLP_ENDPOINT: endpoint,
    OTEL_TRACES_SAMPLER: "parentbased_traceidratio",
    OTEL_TRACES_SAMPLER_ARG: ratio,
  });
  return startTelemetry({ report: () => {} });
}

function microsSince(before: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(before);
  return user + system;
}

async function dispatch(one: () => Promise<unknown>, count: number): Promise<void> {
  let left = count;
  const next = async () => {
    while (left > 0) {
      left -= 1;
      await one();
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, next));
}
