import assert from "node:assert/strict";
import { test } from "node:test";
import { Redis } from "ioredis";
import { z } from "zod";
import { createBroker } from "../../src/broker.ts";
import { createWorker } from "../../src/worker.ts";
import { eventually } from "../support/servers.ts";
import { openWork } from "../support/work.ts";

test("what was read ahead and meets slow work goes to a worker that is free", async () => {
  await using work = await openWork();
  const gate = Promise.withResolvers<void>();
  const by: string[] = [];
  const define = (name: string, broker = work.broker) =>
    broker.task({
      name: "mixed",
      input: z.object({ isSlow: z.boolean() }),
      async run({ isSlow }) {
        by.push(name);
        if (isSlow) await gate.promise;
      },
    });
  const task = define("first");
  work.work({ concurrency: 1, lease: "30s" });
  // Fast work makes the first worker read ahead, and then it meets a slow one.
  const runs = await task.kiqMany([
    ...Array.from({ length: 1_500 }, () => ({ isSlow: false })),
    { isSlow: true },
    ...Array.from({ length: 20 }, () => ({ isSlow: false })),
  ]);
  const rest = runs.slice(1_501).map(({ id }) => id);
  const slow = runs[1_500]?.id;
  await work.ledger.waitFor((events) => events.some((event) => event.type === "run.started" && event.run === slow));
  const other = work.another();
  define("second", other);
  work.work({ concurrency: 10, lease: "30s" }, other);
  const endings = await work.ledger.ended(rest, 30_000);
  assert.ok(endings.every((ending) => ending.type === "run.succeeded" && ending.attempt === 1));
  assert.equal(by.filter((name) => name === "second").length, 20);
  gate.resolve();
  await work.ledger.ended(runs.map(({ id }) => id));
});

test("a lane that is paused is not read until it is resumed", async () => {
  await using work = await openWork();
  const quick = work.broker.task({ name: "quick", run() {} });
  await work.redis.hset(work.keys.meta, "paused", "1");
  const worker = work.work({ lease: "300ms" });
  await eventually(() => worker.health().isReady);
  const run = await quick.kiq();
  await new Promise((resolve) => setTimeout(resolve, 300)); // that nothing happens takes time
  assert.equal(await run.status(), "waiting");
  await work.redis.hdel(work.keys.meta, "paused");
  await work.ledger.ended([run.id]);
});

test("a worker whose connections come from a function beats without a thread", async () => {
  await using work = await openWork();
  const made: Redis[] = [];
  const redis = () => {
    const client = new Redis(work.url, { lazyConnect: true });
    made.push(client);
    return client;
  };
  await using broker = createBroker({ redis, namespace: work.namespace });
  const slow = broker.task({
    name: "slow",
    run: () => new Promise<void>((resolve) => setTimeout(resolve, 1_200)),
  });
  await using worker = createWorker(broker, { lease: "400ms" });
  void worker.run();
  work.broker.task({ name: "slow", run() {} });
  work.work({ lease: "400ms" });
  const run = await slow.kiq();
  const [ending] = await work.ledger.ended([run.id]);
  assert.equal(ending?.type, "run.succeeded");
  const history = await work.ledger.historyOf(run.id);
  assert.deepEqual(history, ["run.enqueued", "run.started", "run.succeeded"]);
  assert.ok(made.length >= 3);
});
