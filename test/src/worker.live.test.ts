import assert from "node:assert/strict";
import { test } from "node:test";
import { z } from "zod";
import { createBroker } from "../../src/broker.ts";
import { Abort, Retry } from "../../src/define/steer.ts";
import { createWorker } from "../../src/worker.ts";
import { openLedger, type TestLedger } from "../support/ledger.ts";
import { testNamespace, testRedis } from "../support/servers.ts";

async function setUp() {
  const redis = await testRedis();
  const namespace = testNamespace();
  const broker = createBroker({ redis, namespace, logger: quiet() });
  const ledger = await openLedger(redis, namespace);
  return { redis, namespace, broker, ledger };
}

function quiet() {
  const logger = { debug() {}, info() {}, warn() {}, error() {}, child: () => logger };
  return logger;
}

async function close(ledger: TestLedger, ...others: AsyncDisposable[]) {
  for (const one of others) await one[Symbol.asyncDispose]();
  await ledger.assertLegal();
  await ledger[Symbol.asyncDispose]();
}

test("a run is taken, executed with its input, and recorded from its start to its end", async () => {
  const { broker, ledger } = await setUp();
  const seen: unknown[] = [];
  const double = broker.task({
    name: "double",
    input: z.object({ n: z.number() }),
    run({ n }, _deps, run) {
      seen.push({ n, attempt: run.attempt, token: run.fencingToken, task: run.task });
    },
  });
  const worker = createWorker(broker, { lease: "2s" });
  const running = worker.run();
  const run = await double.kiq({ n: 21 });
  const [ending] = await ledger.ended([run.id]);
  assert.equal(ending?.type, "run.succeeded");
  assert.deepEqual(await ledger.historyOf(run.id), ["run.enqueued", "run.started", "run.succeeded"]);
  assert.deepEqual(seen, [{ n: 21, attempt: 1, token: "65537", task: "double" }]);
  await worker.stop();
  await running;
  await ledger.waitFor((events) => events.some((event) => event.type === "worker.stopped"));
  await close(ledger, broker);
});

test("a failure is tried again after its delay, and dies with its error when the attempts are used up", async () => {
  const { broker, ledger } = await setUp();
  const flaky = broker.task({
    name: "flaky",
    retry: { attempts: 3, delay: "50ms", jitter: 0 },
    run() {
      throw new TypeError("no luck");
    },
  });
  const worker = createWorker(broker, { lease: "2s" });
  void worker.run();
  const run = await flaky.kiq();
  const [died] = await ledger.ended([run.id]);
  assert.equal(died?.type, "run.died");
  assert.ok(died?.type === "run.died");
  assert.equal(died.reason, "attempts");
  assert.equal(died.attempt, 3);
  assert.equal(died.error?.type, "TypeError");
  assert.equal(died.error?.message, "no luck");
  const again = ["run.started", "run.failed", "run.due"];
  assert.deepEqual(await ledger.historyOf(run.id), ["run.enqueued", ...again, ...again, "run.started", "run.died"]);
  const failed = (await ledger.events()).filter((event) => event.type === "run.failed");
  for (const event of failed) assert.ok((event.retryAt ?? 0) >= event.at + 50);
  await close(ledger, worker, broker);
});

test("Abort, Retry and a `when` steer what happens after a failure", async () => {
  const { broker, ledger } = await setUp();
  const aborting = broker.task({
    name: "aborting",
    run() {
      throw new Abort("never again");
    },
  });
  let tries = 0;
  const asking = broker.task({
    name: "asking",
    run() {
      tries += 1;
      if (tries === 1) throw new Retry({ in: "10ms" });
    },
  });
  const filtered = broker.task({
    name: "filtered",
    retry: { attempts: 5, when: (error) => !(error instanceof RangeError) },
    run() {
      throw new RangeError("out of it");
    },
  });
  const worker = createWorker(broker, { lease: "2s" });
  void worker.run();
  const runs = await Promise.all([aborting.kiq(), asking.kiq(), filtered.kiq()]);
  const [one, two, three] = await ledger.ended(runs.map(({ id }) => id));
  assert.ok(one?.type === "run.died" && one.reason === "aborted");
  assert.equal(two?.type, "run.succeeded");
  assert.ok(three?.type === "run.died" && three.reason === "not_retryable");
  await close(ledger, worker, broker);
});

test("a handler that ignores its signal gives its slot away when its time is over", async () => {
  const { broker, ledger } = await setUp();
  let signal: AbortSignal | undefined;
  const stuck = broker.task({
    name: "stuck",
    timeout: "100ms",
    retry: { attempts: 1 },
    run(_input, _deps, run) {
      signal = run.signal;
      return new Promise<void>(() => {});
    },
  });
  const next = broker.task({ name: "next", run() {} });
  const worker = createWorker(broker, { lease: "2s", concurrency: 1 });
  void worker.run();
  const runs = [await stuck.kiq(), await next.kiq()];
  const [died, succeeded] = await ledger.ended(runs.map(({ id }) => id));
  assert.ok(died?.type === "run.died" && died.error?.code === "timeout");
  assert.equal(succeeded?.type, "run.succeeded");
  assert.equal(signal?.aborted, true);
  await close(ledger, worker, broker);
});
