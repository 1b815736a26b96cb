import assert from "node:assert/strict";
import { test } from "node:test";
import { inspect } from "node:util";
import { z } from "zod";
import { contract } from "../../../src/define/contract.ts";
import { Abort } from "../../../src/define/steer.ts";
import { openWork } from "../../support/work.ts";

/** A promise that the test ends. */
function gate() {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { opened: promise, open: resolve };
}

test("a handle tells where its run is, from its dispatch to its end", async () => {
  await using work = await openWork();
  const [started, finish] = [gate(), gate()];
  const slow = work.broker.task({
    name: "slow",
    async run() {
      started.open();
      await finish.opened;
    },
  });
  const run = await slow.with({ delay: "300ms" }).kiq();
  const later = slow.handle(run.id);
  assert.deepEqual([await run.status(), await later.status()], ["scheduled", "scheduled"]);
  work.work();
  await started.opened;
  assert.deepEqual([await run.status(), await later.status()], ["running", "running"]);
  finish.open();
  await run.result();
  assert.deepEqual([await run.status(), await later.status()], ["succeeded", "succeeded"]);
  assert.equal(await work.broker.handle(run.id).status(), "succeeded");
});

test("a handle shows its run's id and no more, and holds nothing of it up to whoever writes it down", async () => {
  await using work = await openWork();
  const run = await work.broker.task({ name: "noop", run() {} }).kiq();
  assert.equal(inspect(run), `{ id: '${run.id}', isNew: true }`);
  assert.equal(JSON.stringify(run), `{"id":"${run.id}","isNew":true}`);
});

test("a run that waits, that is to be tried again, and that has died is told as such", async () => {
  await using work = await openWork();
  const failing = work.broker.task({
    name: "failing",
    retry: { attempts: 2, delay: "1h", jitter: 0 },
    run(_input, _deps, { attempt }) {
      if (attempt === 1) throw new Error("once");
    },
  });
  const aborting = work.broker.task({
    name: "aborting",
    run() {
      throw new Abort("never");
    },
  });
  const [one, other] = [await failing.kiq(), await aborting.kiq()];
  assert.equal(await failing.handle(one.id).status(), "waiting");
  work.work();
  await assert.rejects(other.result(), { code: "run_failed" });
  assert.deepEqual([await one.status(), await other.status()], ["retrying", "died"]);
});

test("a result is what the handler returned, to whoever asks, before and after the end", async () => {
  await using work = await openWork();
  const sum = work.broker.task({ name: "sum", input: z.array(z.number()), run: (all) => ({ sum: all.length }) });
  const run = await sum.kiq([1, 2, 3]);
  const early = [run.result(), sum.handle(run.id).result(), work.another().handle(run.id).result()];
  work.work();
  assert.deepEqual(await Promise.all(early), [{ sum: 3 }, { sum: 3 }, { sum: 3 }]);
  assert.deepEqual(await run.result(), { sum: 3 });
  assert.deepEqual(await work.another().handle(run.id).result({ timeout: "1s" }), { sum: 3 });
});

test("a handler that returns nothing gives a result of nothing", async () => {
  await using work = await openWork();
  const quiet = work.broker.task({ name: "quiet", run() {} });
  work.work();
  assert.equal(await (await quiet.kiq()).result(), undefined);
});

test("the results of many runs in several queues are told over one connection", async () => {
  await using work = await openWork();
  const double = work.broker.task({ name: "double", input: z.number(), run: (n) => n * 2 });
  const runs = await double.kiqMany(Array.from({ length: 400 }, (_, n) => n));
  const others = await double.with({ queue: "other" }).kiqMany([1_000, 2_000]);
  const results = Promise.all([...runs, ...others].map((run) => run.result()));
  work.work({ queues: ["default", "other"], concurrency: 20 });
  assert.deepEqual(await results, [...runs.map((_, n) => n * 2), 2_000, 4_000]);
  const clients = String(await work.redis.client("LIST"));
  assert.ok(clients.includes("name=tasktrail-follow"));
});

test("a result that is no longer kept is told apart from none", async () => {
  await using work = await openWork();
  const brief = work.broker.task({ name: "brief", resultTtl: "100ms", run: () => "here" });
  work.work();
  const run = await brief.kiq();
  assert.equal(await run.result(), "here");
  await work.redis.del(work.keys.result(run.id));
  await new Promise((resolve) => setTimeout(resolve, 150)); // the time that results are kept for is what is tested
  await assert.rejects(run.result(), { code: "result_not_kept" });
});

test("a contract's result comes as its schema says, in a process that has no handler", async () => {
  await using work = await openWork();
  const invoice = contract({
    name: "invoice",
    input: z.object({ cents: z.number() }),
    output: z.object({
      dueOn: z.codec(z.iso.date(), z.date(), {
        decode: (text) => new Date(text),
        encode: (date) => date.toISOString().slice(0, 10),
      }),
    }),
  });
  invoice.implement(work.broker, { run: () => ({ dueOn: "2026-03-01" }) });
  work.work();
  const bound = work.another().bind({ invoice });
  const result = await (await bound.invoice.kiq({ cents: 5 })).result();
  assert.deepEqual(result, { dueOn: new Date("2026-03-01") });
});

test("the error of a run that failed has the handler's error as its cause", async () => {
  await using work = await openWork();
  const failing = work.broker.task({
    name: "failing",
    retry: { attempts: 1 },
    run() {
      throw Object.assign(new TypeError("no such thing"), { code: "ENOTHING" });
    },
  });
  work.work();
  await assert.rejects(
    (await failing.kiq()).result(),
    (error: Error & { code: string; cause: Error & { code: string } }) => {
      assert.equal(error.code, "run_failed");
      assert.match(error.message, /no such thing/);
      assert.deepEqual(
        [error.cause.name, error.cause.message, error.cause.code],
        ["TypeError", "no such thing", "ENOTHING"],
      );
      assert.match(error.cause.stack ?? "", /handle\.live\.test/);
      return true;
    },
  );
});

test("waiting for a result ends in time, and the run goes on", async () => {
  await using work = await openWork();
  const task = work.broker.task({ name: "task", run: () => 1 });
  const run = await task.kiq();
  await assert.rejects(run.result({ timeout: "150ms" }), { code: "result_timeout" });
  work.work();
  assert.equal(await run.result(), 1);
});

test("a waiting, a scheduled and a running run are cancelled, and one that has ended is not", async () => {
  await using work = await openWork();
  const started = gate();
  const task = work.broker.task({
    name: "task",
    run: (_input, _deps, { signal }) =>
      new Promise<void>((_, reject) => {
        signal.addEventListener("abort", () => reject(signal.reason));
        started.open();
      }),
  });
  const waiting = await task.kiq();
  const scheduled = await task.with({ delay: "1h" }).kiq();
  assert.equal(await task.handle(waiting.id).cancel("first"), true);
  assert.equal(await scheduled.cancel(), true);
  assert.deepEqual([await waiting.status(), await scheduled.status()], ["cancelled", "cancelled"]);
  await assert.rejects(waiting.result(), { code: "run_cancelled", message: /first/ });
  assert.deepEqual([await waiting.cancel(), await scheduled.cancel()], [false, false]);
  const running = await task.kiq();
  work.work();
  await started.opened;
  assert.equal(await running.cancel("enough\0"), true);
  await assert.rejects(running.result(), { code: "run_cancelled", message: /enough/ });
  assert.equal(await running.cancel(), false);
});

test("a run's events are its whole life, each with its position", async () => {
  await using work = await openWork();
  const task = work.broker.task({ name: "task", run() {} });
  const run = await task.with({ delay: "1ms" }).kiq();
  await task.kiq();
  work.work();
  await run.result();
  const events = await work.another().handle(run.id).events();
  assert.deepEqual(
    events.map(({ type }) => type),
    ["run.enqueued", "run.due", "run.started", "run.succeeded"],
  );
  const incarnation = await work.redis.hget(work.keys.meta, "incarnation");
  for (const { position } of events)
    assert.match(String(position), new RegExp(`^default/${incarnation}/\\d+-\\d+/\\d+$`));
});

test("an id that belongs to no run is unknown, and one that cannot be an id is refused", async () => {
  await using work = await openWork();
  const task = work.broker.task({ name: "task", run() {} });
  const { id } = await task.kiq();
  const stranger = `${id.slice(0, -4)}0000`;
  const run = task.handle(stranger);
  assert.equal(await run.status(), "unknown");
  await assert.rejects(run.result(), { code: "run_unknown" });
  await assert.rejects(run.cancel(), { code: "run_unknown" });
  assert.deepEqual(await run.events(), []);
  assert.throws(() => work.broker.handle("garbage"), { code: "invalid_option" });
  assert.throws(() => task.handle(undefined as never), { code: "invalid_option" });
});

test("a run that waits is known even when the ledger no longer tells of it", async () => {
  await using work = await openWork();
  const task = work.broker.task({ name: "task", run: () => "done" });
  const waiting = await task.kiq();
  const scheduled = await task.with({ delay: "1h" }).kiq();
  await work.redis.xtrim(work.keys.events, "MAXLEN", 0);
  assert.equal(await task.handle(waiting.id).status(), "waiting");
  assert.equal(await task.handle(scheduled.id).status(), "scheduled");
  const result = task.handle(waiting.id).result();
  await scheduled.cancel();
  work.work();
  assert.equal(await result, "done");
  await work.ledger.redis.del(work.keys.events); // what is left of the history is not legal
});

test("closing a broker ends the waits of its handles", async () => {
  await using work = await openWork();
  const other = work.another();
  const task = other.task({ name: "task", run() {} });
  const run = await task.kiq();
  const waiting = assert.rejects(run.result(), { code: "result_timeout" });
  await run.status();
  await new Promise((resolve) => setTimeout(resolve, 50));
  await other.close();
  await waiting;
});
