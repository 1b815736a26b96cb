// A worker as an application would start it, with the package as it is published: `cold-start` starts this, and nothing of ours is loaded before it.
const { BENCH_REDIS: url = "", BENCH_CONTENDER: contender = "", BENCH_PART: part = "" } = process.env;
const MIB = 1_048_576;
const { hostname: host, port, password } = new URL(url);
const connection = { host, port: Number(port), password, maxRetriesPerRequest: null };

if (contender === "BullMQ") await runBullmq();
else await runTasktrail();

async function runBullmq(): Promise<void> {
  const { Queue, Worker } = await import("bullmq");
  const imported = performance.now();
  if (part === "fill") {
    const queue = new Queue("cold", { connection });
    await queue.add("noop", {});
    return queue.close();
  }
  new Worker("cold", async () => tell(imported), { connection });
}

async function runTasktrail(): Promise<void> {
  const { createBroker, createWorker } = await import("tasktrail");
  const imported = performance.now();
  const quiet = { debug() {}, info() {}, warn() {}, error: console.error, child: () => quiet };
  const broker = createBroker({ redis: url, namespace: "cold", logger: quiet });
  const noop = broker.task({ name: "noop", run: async () => tell(imported) });
  if (part === "fill") {
    await noop.kiq();
    return broker.close();
  }
  await createWorker(broker).run();
}

function tell(imported: number): void {
  const started = performance.now();
  process.stdout.write(JSON.stringify({ started, imported, resident: process.memoryUsage.rss() / MIB }), () =>
    process.exit(0),
  );
}
