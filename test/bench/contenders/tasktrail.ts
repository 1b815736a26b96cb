import { Redis } from "ioredis";
import { type Broker, createBroker, createWorker, type LoggerLike } from "tasktrail";
import { laneKeys } from "../../../streams/keys.ts";
import { schemas } from "../payload.ts";
import type { Client, Contender, Input, Shape, WorkOrder } from "./contender.ts";

/** The namespace that all benches use. */
export const NAMESPACE = "bench";

/** A logger that is silent unless something is broken. */
export const quiet: LoggerLike = {
  debug() {},
  info() {},
  warn() {},
  error: console.error,
  child: () => quiet,
};

/** Tasktrail with the full ledger on, and inputs checked at both ends. */
export const tasktrail: Contender = { name: "Tasktrail", pace: 6, open };

/** A broker that waits as long as others do: a machine that is busy with other things makes a dispatch slow, and not fail. */
export function openBroker(redis: string): Broker {
  return createBroker({ redis, namespace: NAMESPACE, logger: quiet, enqueueTimeout: "5m" });
}

/** The name of a queue by its number. */
export function queueName(at: number): string {
  return at === 0 ? "default" : `queue-${at}`;
}

async function open(url: string, { payload, queueCount = 1, attempts = 1 }: Shape): Promise<Client> {
  const broker = openBroker(url);
  const redis = new Redis(url, { protocol: 2 });
  const names = Array.from({ length: queueCount }, (_, at) => queueName(at));
  let handle: WorkOrder["run"] = async () => {};
  const tasks = names.map((queue) =>
    broker.task({
      name: `task_${queue.replace("-", "_")}`,
      queue,
      input: schemas[payload],
      retry: { attempts, delay: "1ms", backoff: "fixed", jitter: 0 },
      run: (input, _deps, run) => handle(input as Input, run.attempt),
    }),
  );
  const at = (queue = 0) => tasks[queue] as (typeof tasks)[0];
  const after = (queue: number | undefined, delayMs = 0) =>
    delayMs > 0 ? at(queue).with({ delay: `${delayMs}ms` }) : at(queue);
  return {
    send: (input, { queue, delayMs } = {}) => after(queue, delayMs).kiq(input as never),
    sendMany: (inputs, { queue, delayMs } = {}) => after(queue, delayMs).kiqMany(inputs as never),
    async work({ concurrency, run }) {
      handle = run;
      const worker = createWorker(broker, { concurrency });
      worker.run().catch(console.error);
      while (!worker.health().isReady) await new Promise((resolve) => setImmediate(resolve));
      return worker;
    },
    leftCount: () => leftIn(redis, names),
    async [Symbol.asyncDispose]() {
      await broker.close();
      redis.disconnect();
    },
  };
}

/** The entries of some queues that wait, are due later, or are being worked on. */
export async function leftIn(redis: Redis, queues: readonly string[]): Promise<number> {
  const counts = queues.flatMap((queue) => {
    const keys = laneKeys(NAMESPACE, queue);
    return [redis.xlen(keys.tasks), redis.xlen(keys.again), redis.zcard(keys.scheduled)];
  });
  return (await Promise.all(counts)).reduce((sum, one) => sum + one, 0);
}
