import assert from "node:assert/strict";
import { test } from "node:test";
import { openWork } from "../support/work.ts";

test("a waiting run that is cancelled does not start", async () => {
  await using work = await openWork();
  const started: string[] = [];
  const slow = work.broker.task({
    name: "slow",
    async run(_input, _deps, run) {
      started.push(run.id);
      if (started.length === 1) await gate.promise;
    },
  });
  const gate = Promise.withResolvers<void>();
  work.work({ concurrency: 1 });
  const first = await slow.kiq();
  await work.ledger.waitFor((events) => events.some((event) => event.type === "run.started"));
  const second = await slow.kiq();
  await work.broker.handle(second.id).cancel("not needed");
  gate.resolve();
  const [one, two] = await work.ledger.ended([first.id, second.id]);
  assert.equal(one?.type, "run.succeeded");
  assert.equal(two?.type, "run.cancelled");
  assert.deepEqual(started, [first.id]);
  assert.equal(await work.redis.zcard(work.keys.cancelled), 0);
});

test("a scheduled run that is cancelled ends at once", async () => {
  await using work = await openWork();
  const later = work.broker.task({ name: "later", run() {} });
  const run = await later.with({ delay: "1h" }).kiq();
  await work.broker.handle(run.id).cancel();
  const [ending] = await work.ledger.ended([run.id]);
  assert.equal(ending?.type, "run.cancelled");
});

test("a running run that is cancelled hears it through its signal, and is not tried again", async () => {
  await using work = await openWork();
  let reason: unknown;
  const endless = work.broker.task({
    name: "endless",
    retry: { attempts: 5, delay: "10ms" },
    run: (_input, _deps, { signal }) =>
      new Promise<void>((_, reject) => {
        signal.addEventListener("abort", () => {
          reason = signal.reason;
          reject(new Error("stopped half-way"));
        });
      }),
  });
  work.work();
  const run = await endless.kiq();
  await work.ledger.waitFor((events) => events.some((event) => event.type === "run.started"));
  await run.cancel();
  const [ending] = await work.ledger.ended([run.id]);
  assert.equal(ending?.type, "run.cancelled");
  assert.equal((reason as { code?: string }).code, "run_cancelled");
  assert.deepEqual(await work.ledger.historyOf(run.id), [
    "run.enqueued",
    "run.started",
    "run.cancel_requested",
    "run.cancelled",
  ]);
});

test("a cancelled run that succeeds all the same has succeeded", async () => {
  await using work = await openWork();
  const stubborn = work.broker.task({
    name: "stubborn",
    run: (_input, _deps, { signal }) =>
      new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve())),
  });
  work.work();
  const run = await stubborn.kiq();
  await work.ledger.waitFor((events) => events.some((event) => event.type === "run.started"));
  await run.cancel();
  const [ending] = await work.ledger.ended([run.id]);
  assert.equal(ending?.type, "run.succeeded");
});

test("a run that waits for its next attempt and is cancelled is not tried again", async () => {
  await using work = await openWork();
  const failing = work.broker.task({
    name: "failing",
    retry: { attempts: 3, delay: "1h" },
    run() {
      throw new Error("not yet");
    },
  });
  work.work();
  const run = await failing.kiq();
  await work.ledger.waitFor((events) => events.some((event) => event.type === "run.failed"));
  await run.cancel();
  const [ending] = await work.ledger.ended([run.id]);
  assert.equal(ending?.type, "run.cancelled");
});
