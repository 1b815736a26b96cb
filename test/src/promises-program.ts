// Counts the promises that a run takes, and tells its parent: `costs.live.test.ts` starts it with the URL of a Redis.
import { createHook } from "node:async_hooks";
import { z } from "zod";
import { createBroker } from "../../src/broker.ts";
import { createWorker } from "../../src/worker.ts";

const RUNS = 2_000;
const TRIES = 3;
const quiet = { debug() {}, info() {}, warn() {}, error: console.error, child: () => quiet };
const broker = createBroker({ redis: process.argv[2] as string, namespace: "promises", logger: quiet });
let left = 0;
let all = Promise.withResolvers<void>();
const noop = broker.task({
  name: "noop",
  input: z.object({ n: z.number() }),
  async run() {
    left -= 1;
    if (left === 0) all.resolve();
  },
});
const inputs = Array.from({ length: 100 }, (_, n) => ({ n }));

let count = 0;
const hook = createHook({
  init(_id, type) {
    if (type === "PROMISE") count += 1;
  },
});

/** The fewest of some tries: a timer may fire meanwhile. */
async function promisesOf(act: () => Promise<unknown>, prepare: () => Promise<unknown> = async () => {}) {
  let fewest = Number.POSITIVE_INFINITY;
  for (let tried = 0; tried < TRIES; tried += 1) {
    await prepare();
    count = 0;
    hook.enable();
    await act();
    hook.disable();
    fewest = Math.min(fewest, count);
  }
  return fewest;
}

const bulk = (await promisesOf(() => noop.kiqMany(inputs))) / inputs.length;
const tick = (await promisesOf(() => Promise.all(inputs.map((input) => noop.kiq(input))))) / inputs.length;
const lone = await promisesOf(() => noop.kiq({ n: 1 }));

let worker = createWorker(broker, { concurrency: 100 });
/** Has a new worker ready to begin on a backlog. */
async function prepare(): Promise<void> {
  await worker.stop();
  await noop.kiqMany(Array.from({ length: RUNS }, (_, n) => ({ n })));
  left = RUNS;
  all = Promise.withResolvers();
  worker = createWorker(broker, { concurrency: 100 });
}
const work = await promisesOf(async () => {
  worker.run().catch(console.error);
  await all.promise;
}, prepare);
await worker.stop();
await broker.close();
process.send?.({ bulk, tick, lone, work: work / RUNS }, () => process.exit(0));
