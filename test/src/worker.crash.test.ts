import assert from "node:assert/strict";
import { test } from "node:test";
import { z } from "zod";
import { openWork, type TestWork } from "../support/work.ts";
import { startWorkerProcess } from "../support/worker-process.ts";

const length = z.object({ ms: z.number() });

/** The tasks of the worker processes, for dispatching; and for working, what a good worker does with them. */
function declare(work: TestWork, run: () => unknown = () => {}) {
  const timed = (name: string) => work.broker.task({ name, input: length, run: run as () => void });
  const bare = (name: string) => work.broker.task({ name, run: run as () => void });
  return {
    sleep: timed("sleep"),
    block: timed("block"),
    blockPastDeadline: timed("block_past_deadline"),
    poison: bare("poison"),
    quick: bare("quick"),
  };
}

test("what a killed worker had in hand is finished by another", async () => {
  await using work = await openWork();
  const { sleep } = declare(work);
  await using first = await startWorkerProcess(work);
  const runs = await sleep.kiqMany(Array.from({ length: 5 }, () => ({ ms: 60_000 })));
  await work.ledger.waitFor((events) => events.filter((event) => event.type === "run.started").length === 5);
  first.kill("SIGKILL");
  work.work({ lease: "1s" });
  const endings = await work.ledger.ended(runs.map(({ id }) => id));
  for (const ending of endings) {
    assert.ok(ending.type === "run.succeeded");
    assert.equal(ending.attempt, 1);
  }
  for (const { id } of runs) {
    const history = await work.ledger.historyOf(id);
    assert.deepEqual(history, ["run.enqueued", "run.started", "run.redelivered", "run.started", "run.succeeded"]);
  }
  await work.ledger.waitFor((events) => events.some((event) => event.type === "worker.lost"));
});

test("SIGTERM lets work that is short enough finish", async () => {
  await using work = await openWork();
  const { sleep } = declare(work);
  await using worker = await startWorkerProcess(work, { shutdownGrace: "5s" });
  const run = await sleep.kiq({ ms: 500 });
  await worker.tells("started", run.id);
  worker.kill("SIGTERM");
  assert.equal(await worker.ended, 0);
  const [ending] = await work.ledger.ended([run.id]);
  assert.equal(ending?.type, "run.succeeded");
  assert.equal(await work.redis.zcard(work.keys.workers), 0);
  assert.equal(worker.stderr(), "");
});

test("SIGTERM hands back what is too long and what has not started, in order, with no attempt used", async () => {
  await using work = await openWork();
  const order: string[] = [];
  const { sleep } = declare(work);
  await using worker = await startWorkerProcess(work, { shutdownGrace: "100ms", concurrency: 2 });
  const runs = await sleep.kiqMany(Array.from({ length: 6 }, () => ({ ms: 60_000 })));
  await worker.tells("started", runs[1]?.id);
  worker.kill("SIGTERM");
  assert.equal(await worker.ended, 0);
  work.work({ lease: "30s", concurrency: 1 });
  const endings = await work.ledger.ended(
    runs.map(({ id }) => id),
    10_000,
  );
  for (const ending of endings) assert.ok(ending.type === "run.succeeded" && ending.attempt === 1);
  for (const event of await work.ledger.events()) if (event.type === "run.succeeded") order.push(event.run);
  assert.deepEqual(
    order.slice(0, 2).sort(),
    runs
      .slice(0, 2)
      .map(({ id }) => id)
      .sort(),
  );
  assert.equal(await work.redis.hlen(work.keys.strikes), 0);
});

test("a handler that blocks the event loop for several leases is neither redelivered nor lost", async () => {
  await using work = await openWork();
  const { block } = declare(work);
  await using worker = await startWorkerProcess(work, { lease: "1s" });
  const run = await block.kiq({ ms: 4_000 });
  await worker.tells("started", run.id);
  work.work({ lease: "1s" });
  const [ending] = await work.ledger.ended([run.id]);
  assert.equal(ending?.type, "run.succeeded");
  assert.deepEqual(await work.ledger.historyOf(run.id), ["run.enqueued", "run.started", "run.succeeded"]);
});

test("a handler that blocks the event loop past its deadline loses its run, and its late result is refused", async () => {
  await using work = await openWork();
  const { blockPastDeadline } = declare(work);
  await using worker = await startWorkerProcess(work, { lease: "1s" });
  const run = await blockPastDeadline.kiq({ ms: 5_000 });
  await work.ledger.waitFor((events) => events.some((event) => event.type === "worker.started"));
  await worker.tells("started", run.id);
  work.work({ lease: "1s" });
  await worker.tells("done", run.id);
  const [ending] = await work.ledger.ended([run.id]);
  assert.equal(ending?.type, "run.succeeded");
  await work.ledger.waitFor((events) => events.some((event) => event.type === "run.fenced"));
  const endings = (await work.ledger.events()).filter((event) => event.type === "run.succeeded");
  assert.equal(endings.length, 1);
});

test("a worker that was stopped past its lease wakes up to nothing: what it does then is refused", async () => {
  await using work = await openWork();
  const { sleep } = declare(work);
  await using worker = await startWorkerProcess(work, { lease: "1s" });
  const run = await sleep.kiq({ ms: 1_000 });
  await worker.tells("started", run.id);
  worker.kill("SIGSTOP");
  work.work({ lease: "1s" });
  const [ending] = await work.ledger.ended([run.id]);
  assert.equal(ending?.type, "run.succeeded");
  worker.kill("SIGCONT");
  await worker.tells("done", run.id);
  await work.ledger.waitFor((events) => events.some((event) => event.type === "run.fenced"));
  const fresh = await sleep.kiqMany([{ ms: 1 }, { ms: 1 }, { ms: 1 }]);
  await work.ledger.ended(fresh.map(({ id }) => id));
});

test("one poison among many dies after exactly maxDeliveries, and nobody dies with it", async () => {
  await using work = await openWork();
  const { poison, sleep } = declare(work);
  const options = { lease: "500ms", maxDeliveries: 3, concurrency: 20 } as const;
  const before = await sleep.kiqMany(Array.from({ length: 30 }, () => ({ ms: 20 })));
  const bad = await poison.kiq();
  const after = await sleep.kiqMany(Array.from({ length: 30 }, () => ({ ms: 20 })));
  let deaths = 0;
  const ending = work.ledger.ended([bad.id], 60_000);
  let isOver = false;
  void ending.then(() => {
    isOver = true;
  });
  while (!isOver) {
    await using worker = await startWorkerProcess(work, options);
    if ((await Promise.race([worker.ended, ending])) === "SIGKILL") deaths += 1;
    else await work.ledger.ended([...before, ...after].map(({ id }) => id));
  }
  const [died] = await ending;
  assert.ok(died?.type === "run.died");
  assert.equal(died.reason, "poison");
  assert.equal(deaths, 3);
  const others = await work.ledger.ended([...before, ...after].map(({ id }) => id));
  for (const one of others) assert.equal(one.type, "run.succeeded");
});

test("what a killed worker had in hand is taken over long before the backlog is done", async () => {
  await using work = await openWork();
  const { sleep } = declare(work, () => new Promise((resolve) => setTimeout(resolve, 10)));
  await using first = await startWorkerProcess(work, { concurrency: 5 });
  const held = await sleep.kiqMany(Array.from({ length: 5 }, () => ({ ms: 60_000 })));
  await work.ledger.waitFor((events) => events.filter((event) => event.type === "run.started").length === 5);
  const backlog = await sleep.kiqMany(Array.from({ length: 3_000 }, () => ({ ms: 10 })));
  work.work({ lease: "1s", concurrency: 5 });
  first.kill("SIGKILL");
  await work.ledger.ended(
    [...held, ...backlog].map(({ id }) => id),
    60_000,
  );
  const order = (await work.ledger.events()).flatMap((event) => (event.type === "run.succeeded" ? [event.run] : []));
  const last = Math.max(...held.map(({ id }) => order.indexOf(id)));
  assert.ok(last < order.length * 0.8, `the last of them ended as number ${last} of ${order.length}`);
});
