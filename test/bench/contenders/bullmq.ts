import { type JobsOptions, Queue, Worker } from "bullmq";
import type { Client, Contender, Dispatch, Input, Shape, WorkOrder } from "./contender.ts";

/** BullMQ as its manual shows it, but for finished jobs, which it is told to remove: that is when it is fastest. */
export const bullmq: Contender = { name: "BullMQ", pace: 1, open };

async function open(url: string, { queueCount = 1, attempts = 1 }: Shape): Promise<Client> {
  const names = Array.from({ length: queueCount }, (_, at) => `bench-${at}`);
  const queues = names.map((name) => new Queue(name, { connection: connectionTo(url) }));
  await Promise.all(queues.map((queue) => queue.waitUntilReady()));
  const at = ({ queue = 0 }: Dispatch) => queues[queue] as Queue;
  const options = ({ delayMs = 0 }: Dispatch): JobsOptions => ({
    removeOnComplete: true,
    ...(attempts > 1 ? { attempts, backoff: { type: "fixed", delay: 1 } } : {}),
    ...(delayMs > 0 ? { delay: delayMs } : {}),
  });
  return {
    send: (input, dispatch = {}) => at(dispatch).add("task", input, options(dispatch)),
    sendMany: (inputs, dispatch = {}) =>
      at(dispatch).addBulk(inputs.map((data) => ({ name: "task", data, opts: options(dispatch) }))),
    work: (order) => work(url, names, order),
    async leftCount() {
      const counts = await Promise.all(queues.map((queue) => queue.getJobCountByTypes("wait", "active", "delayed")));
      return counts.reduce((sum, one) => sum + one, 0);
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(queues.map((queue) => queue.close()));
    },
  };
}

/** One worker a queue, since it has no other way to serve several; they share the concurrency. */
async function work(url: string, names: readonly string[], { concurrency, run }: WorkOrder): Promise<AsyncDisposable> {
  const each = Math.max(1, Math.floor(concurrency / names.length));
  const workers = names.map(
    (name) =>
      new Worker(name, (job) => run(job.data as Input, job.attemptsMade + 1), {
        connection: connectionTo(url),
        concurrency: each,
      }),
  );
  for (const worker of workers) worker.on("error", console.error);
  await Promise.all(workers.map((worker) => worker.waitUntilReady()));
  return {
    async [Symbol.asyncDispose]() {
      await Promise.all(workers.map((worker) => worker.close()));
    },
  };
}

function connectionTo(url: string) {
  const { hostname, port, password } = new URL(url);
  return { host: hostname, port: Number(port), password, maxRetriesPerRequest: null };
}
