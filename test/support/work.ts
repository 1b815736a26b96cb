import type { Redis } from "ioredis";
import { createBroker } from "../../src/broker.ts";
import type { Broker, LoggerLike } from "../../src/define/broker.ts";
import type { Role, WorkerOptions } from "../../src/define/role.ts";
import { createWorker } from "../../src/worker.ts";
import { laneKeys } from "../../streams/keys.ts";
import { openLedger, type TestLedger } from "./ledger.ts";
import { testNamespace, testRedis } from "./servers.ts";

/** A broker with its ledger, and workers that end with the test. */
export interface TestWork extends AsyncDisposable {
  readonly url: string;
  readonly namespace: string;
  readonly broker: Broker;
  readonly ledger: TestLedger;
  readonly redis: Redis;
  readonly keys: ReturnType<typeof laneKeys>;
  /** What was logged at the level of a warning or an error. */
  readonly complaints: unknown[];
  /** Starts a worker with a lease of 2 s, unless told otherwise. */
  work(options?: WorkerOptions, broker?: Broker): Role;
  /** A broker as in another process. */
  another(): Broker;
}

/** Opens all of it in a namespace of its own. */
export async function openWork(): Promise<TestWork> {
  const url = await testRedis();
  const namespace = testNamespace();
  const complaints: unknown[] = [];
  const ledger = await openLedger(url, namespace);
  const brokers: Broker[] = [];
  const workers: Role[] = [];
  const another = () => {
    const made = createBroker({ redis: url, namespace, logger: logInto(complaints) });
    brokers.push(made);
    return made;
  };
  const broker = another();
  return {
    url,
    namespace,
    broker,
    ledger,
    redis: ledger.redis,
    keys: laneKeys(namespace, "default"),
    complaints,
    another,
    work(options = {}, other = broker) {
      const worker = createWorker(other, { lease: "2s", shutdownGrace: "1s", ...options });
      workers.push(worker);
      worker.run().catch((error: unknown) => complaints.push(error));
      return worker;
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(workers.map((worker) => worker.stop()));
      await Promise.all(brokers.map((one) => one.close()));
      try {
        await ledger.assertLegal();
      } finally {
        await ledger[Symbol.asyncDispose]();
      }
    },
  };
}

function logInto(complaints: unknown[]): LoggerLike {
  const logger: LoggerLike = {
    debug() {},
    info() {},
    warn: (bindings, message) => complaints.push({ message, ...bindings }),
    error: (bindings, message) => complaints.push({ message, ...bindings }),
    child: () => logger,
  };
  return logger;
}
