import assert from "node:assert/strict";
import { test } from "node:test";
import { cron } from "../../src/define/cron.ts";
import type { Server } from "../../src/dev/server.ts";
import { startRedis } from "../../src/dev/start-redis.ts";
import type { Slot } from "../../src/run.ts";
import { eventually } from "../support/servers.ts";
import { openWork, type TestWork } from "../support/work.ts";

test("a cron run that meets another one at work is skipped, with its holder as the reason", async () => {
  await using work = await openWork();
  const gate = Promise.withResolvers<void>();
  const seen: Slot[] = [];
  const sync = cron(work.broker, "0 0 * * *", {
    name: "sync",
    lockTtl: "1m",
    async run(slot) {
      seen.push(slot);
      await gate.promise;
    },
  });
  work.work();
  const first = await sync.trigger();
  await work.ledger.waitFor((events) => events.some((event) => event.type === "run.started"));
  const second = await sync.trigger();
  const [skipped] = await work.ledger.ended([second.id]);
  assert.ok(skipped?.type === "run.skipped");
  assert.equal(skipped.reason, "overlap_lock_held");
  assert.equal(skipped.holder, first.id);
  assert.equal(skipped.schedule, "sync");
  gate.resolve();
  await work.ledger.ended([first.id]);
  const third = await sync.trigger();
  const [ending] = await work.ledger.ended([third.id]);
  assert.equal(ending?.type, "run.succeeded");
  assert.equal(seen[0]?.trigger, "manual");
  assert.ok(seen[0]?.at instanceof Date);
});

test("a cron run keeps its lock over the wait for its next attempt, and lets it go at its end", async () => {
  await using work = await openWork();
  const flaky = failingOnce(work, "1s");
  work.work();
  const first = await flaky.trigger();
  await work.ledger.waitFor((events) => events.some((event) => event.type === "run.failed"));
  const second = await flaky.trigger();
  const [one, two] = await work.ledger.ended([first.id, second.id]);
  assert.equal(one?.type, "run.succeeded");
  assert.ok(two?.type === "run.skipped" && two.holder === first.id);
});

test("a run that is cancelled while it waits for another try keeps nobody from running, though its lock goes on", async () => {
  await using work = await openWork();
  const flaky = failingOnce(work, "1h");
  work.work();
  const first = await flaky.trigger();
  await work.ledger.waitFor((events) => events.some((event) => event.type === "run.failed"));
  await first.cancel();
  await work.ledger.ended([first.id]);
  assert.equal(await work.redis.get(work.keys.lock("flaky")), first.id, "nobody was there to let it go");
  const second = await flaky.trigger();
  assert.equal((await work.ledger.ended([second.id]))[0]?.type, "run.succeeded");
});

test("of many runs that meet the lock of one that has ended at once, one takes it over, and none runs beside it", async () => {
  await using work = await openWork();
  const gate = Promise.withResolvers<void>();
  let [running, most] = [0, 0];
  const sync = cron(work.broker, "0 0 * * *", {
    name: "sync",
    lockTtl: "1m",
    async run() {
      running += 1;
      most = Math.max(most, running);
      await gate.promise;
      running -= 1;
    },
  });
  await work.redis.set(work.keys.lock("sync"), "gone", "PX", 60_000);
  await work.redis.set(work.keys.ended("gone"), "1", "PX", 60_000);
  const runs = await Promise.all(Array.from({ length: 30 }, () => sync.trigger()));
  for (let workers = 0; workers < 3; workers += 1) work.work({ concurrency: 10 });
  const endings = new Set(["run.skipped", "run.deferred"]); // deferred: it saw others take it again and again, and knows no more
  await work.ledger.waitFor((events) => events.filter(({ type }) => endings.has(type)).length >= runs.length - 1);
  gate.resolve();
  const types = (await work.ledger.ended(runs.map(({ id }) => id))).map(({ type }) => type);
  assert.ok(types.includes("run.succeeded"));
  assert.equal(most, 1);
});

test("a run that was delivered again is not skipped by its own ghost", async () => {
  await using work = await openWork();
  const sync = cron(work.broker, "0 0 * * *", { name: "sync", lockTtl: "1m", run() {} });
  const run = await sync.trigger();
  await work.redis.set(work.keys.lock("sync"), run.id, "PX", 60_000); // as a worker left it that died
  work.work();
  const [ending] = await work.ledger.ended([run.id]);
  assert.equal(ending?.type, "run.succeeded");
});

test("a run that outlives its lock is told of, and another may start", async () => {
  await using work = await openWork();
  const gate = Promise.withResolvers<void>();
  const slow = cron(work.broker, "0 0 * * *", { name: "slow", lockTtl: "200ms", run: () => gate.promise });
  work.work();
  const first = await slow.trigger();
  await work.ledger.waitFor((events) => events.find((event) => event.type === "run.overran"));
  await eventually(async () => (await work.redis.exists(work.keys.lock("slow"))) === 0); // the worker counts it as lost a little earlier
  const second = await slow.trigger();
  await work.ledger.waitFor((events) =>
    events.some((event) => event.type === "run.started" && event.run === second.id),
  );
  gate.resolve();
  await work.ledger.ended([first.id, second.id]);
});

test("extend moves the lock with the deadline", async () => {
  await using work = await openWork();
  const gate = Promise.withResolvers<void>();
  const slow = cron(work.broker, "0 0 * * *", {
    name: "slow",
    lockTtl: "500ms",
    async run(_slot, _deps, run) {
      await run.extend("1m");
      await gate.promise;
    },
  });
  work.work();
  await slow.trigger();
  await work.ledger.waitFor((events) => events.some((event) => event.type === "run.started"));
  const ttl = await eventuallyLong(() => work.redis.pttl(work.keys.lock("slow")));
  assert.ok(ttl > 30_000);
  gate.resolve();
});

test("runs of a cron that allows overlap run beside each other", async () => {
  await using work = await openWork();
  const both = Promise.withResolvers<void>();
  let running = 0;
  const free = cron(work.broker, "0 0 * * *", {
    name: "free",
    overlap: "allow",
    async run() {
      running += 1;
      if (running === 2) both.resolve();
      await both.promise;
    },
  });
  work.work();
  const runs = [await free.trigger(), await free.trigger()];
  const endings = await work.ledger.ended(runs.map(({ id }) => id));
  for (const ending of endings) assert.equal(ending.type, "run.succeeded");
});

test("queue_one waits for the other to end, cancel_other ends it", async () => {
  await using work = await openWork();
  const gate = Promise.withResolvers<void>();
  const patient = cron(work.broker, "0 0 * * *", { name: "patient", overlap: "queue_one", run: () => gate.promise });
  const pushy = cron(work.broker, "0 0 * * *", {
    name: "pushy",
    overlap: "cancel_other",
    run: (_slot, _deps, { signal }) =>
      new Promise<void>((resolve, reject) => {
        if (pushed) resolve();
        signal.addEventListener("abort", () => reject(signal.reason));
      }),
  });
  let pushed = false;
  work.work();
  const one = await patient.trigger();
  const three = await pushy.trigger();
  await work.ledger.waitFor((events) => events.filter((event) => event.type === "run.started").length === 2);
  pushed = true;
  const two = await patient.trigger();
  const four = await pushy.trigger();
  await work.ledger.waitFor((events) => events.some((event) => event.type === "run.deferred" && event.run === two.id));
  const five = await patient.trigger();
  const [skipped] = await work.ledger.ended([five.id]);
  assert.ok(skipped?.type === "run.skipped" && skipped.holder === two.id, "more than one is queued");
  gate.resolve();
  const endings = await work.ledger.ended([one.id, two.id, three.id, four.id], 30_000);
  assert.deepEqual(
    endings.map(({ type }) => type),
    ["run.succeeded", "run.succeeded", "run.cancelled", "run.succeeded"],
  );
});

test("the lock lives on three servers of its own, of which one may die while it is held; without two of them a run waits, and is not skipped", async () => {
  const servers = await Promise.all(Array.from({ length: 3 }, () => startRedis({ report() {} })));
  const [first, ...others] = servers as [Server, ...Server[]];
  await using work = await openWork();
  const gate = Promise.withResolvers<void>();
  const slow = cron(work.broker, "0 0 * * *", { name: "slow", lockTtl: "1m", run: () => gate.promise });
  const locks = servers.map(({ url }) => url);
  work.work({ locks });
  work.work({ locks }, work.broker);
  const holder = await slow.trigger();
  await work.ledger.waitFor((events) => events.some((event) => event.type === "run.started"));
  assert.equal(await work.redis.exists(work.keys.lock("slow")), 0, "it is held where the queue is");
  await first.kill();
  const second = await slow.trigger();
  const [skipped] = await work.ledger.ended([second.id]);
  assert.ok(skipped?.type === "run.skipped" && skipped.holder === holder.id);
  gate.resolve();
  await work.ledger.ended([holder.id]);
  const third = await slow.trigger();
  assert.equal((await work.ledger.ended([third.id]))[0]?.type, "run.succeeded");
  // Without a majority nobody knows whether it is held: that is told, and is no skip.
  await others[0]?.kill();
  const fourth = await slow.trigger();
  const fate = ["run.deferred", "run.skipped", "run.started"];
  const waits = await work.ledger.waitFor((events) =>
    events.find((event) => "run" in event && event.run === fourth.id && fate.includes(event.type)),
  );
  assert.ok(waits.type === "run.deferred" && waits.reason === "lock", JSON.stringify(waits));
  assert.ok(work.complaints.some((one) => JSON.stringify(one).includes("could not be found out")));
  for (const server of [first, ...others]) await server[Symbol.asyncDispose]();
});

async function eventuallyLong(ask: () => Promise<number>): Promise<number> {
  for (;;) {
    const ttl = await ask();
    if (ttl > 30_000) return ttl;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** A cron whose first attempt fails; the next one comes after so long. */
function failingOnce({ broker }: TestWork, delay: "1s" | "1h") {
  let tries = 0;
  return cron(broker, "0 0 * * *", {
    name: "flaky",
    lockTtl: "1m",
    retry: { attempts: 2, delay, jitter: 0 },
    run() {
      tries += 1;
      if (tries === 1) throw new Error("once");
    },
  });
}
