// How many bytes of what a run is made into come into V8's old heap, where they lie until the next full collection. Run as
// `node young-program.ts URL`; `costs.live.test.ts` does so, without a loader.
import { getHeapSpaceStatistics } from "node:v8";
import { createBroker, createWorker } from "tasktrail";
import { z } from "zod";

const RUNS = 60_000;
const quiet = { debug() {}, info() {}, warn() {}, error: console.error, child: () => quiet };
const broker = createBroker({
  redis: process.argv[2] as string,
  namespace: "young",
  logger: quiet,
  enqueueTimeout: "5m",
});
let done = 0;
const [half, all] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
const noop = broker.task({
  name: "noop",
  input: z.object({ n: z.number() }),
  async run() {
    done += 1;
    if (done === RUNS) half.resolve();
    if (done === 2 * RUNS) all.resolve();
  },
});

/** Keeps 256 dispatches under way until so many are done. */
async function dispatch(count: number): Promise<void> {
  let toSend = count;
  const one = async () => {
    while (toSend > 0) {
      toSend -= 1;
      await noop.kiq({ n: toSend });
    }
  };
  await Promise.all(Array.from({ length: 256 }, one));
}

/** Does it once for the compiler to know it, collects, and does it again. */
async function grownPerRun(first: () => Promise<void>, second: () => Promise<void>): Promise<number> {
  await first();
  globalThis.gc?.();
  let grown = 0;
  let before = oldBytes();
  const look = () => {
    const now = oldBytes();
    grown += Math.max(0, now - before); // less after a full collection
    before = now;
  };
  const timer = setInterval(look, 2);
  await second();
  clearInterval(timer);
  look();
  return grown / RUNS;
}

function oldBytes(): number {
  return getHeapSpaceStatistics().find((space) => space.space_name === "old_space")?.space_used_size ?? 0;
}

const dispatched = await grownPerRun(
  () => dispatch(RUNS),
  () => dispatch(RUNS),
);
const worker = createWorker(broker, { concurrency: 100 });
const work = () => {
  worker.run().catch(console.error);
  return half.promise;
};
const worked = await grownPerRun(work, () => all.promise);
await worker.stop();
await broker.close();
process.send?.({ dispatched, worked });
