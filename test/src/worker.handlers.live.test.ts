import assert from "node:assert/strict";
import { AsyncLocalStorage } from "node:async_hooks";
import { test } from "node:test";
import { z } from "zod";
import { getRun } from "../../src/di/leaves.ts";
import { override, provider } from "../../src/di/provider.ts";
import { type Ended, type Execution, type Middleware, processMiddleware } from "../../src/middleware.ts";
import { openWork } from "../support/work.ts";

test("providers open around the handler, commit before effects, and roll back on a failure", async () => {
  await using work = await openWork();
  const log: string[] = [];
  const getSession = provider({
    deps: { run: getRun },
    async provide({ run }, use) {
      log.push(`open ${run.attempt}`);
      try {
        const used = await use("session");
        log.push("commit");
        return used;
      } catch (error) {
        log.push("roll back");
        throw error;
      }
    },
  });
  const task = work.broker.task({
    name: "careful",
    deps: { session: getSession },
    retry: { attempts: 2, delay: "1ms" },
    run(_input, { session }, run) {
      run.onCommit(() => log.push("effect"));
      log.push(`run with ${session}`);
      if (run.attempt === 1) throw new Error("once");
    },
  });
  work.work();
  const run = await task.kiq();
  await work.ledger.ended([run.id]);
  assert.deepEqual(log, ["open 1", "run with session", "roll back", "open 2", "run with session", "commit", "effect"]);
});

test("a worker-scoped value is opened once and closed when the worker stops; overrides take its place", async () => {
  await using work = await openWork();
  const log: string[] = [];
  const getPool = provider({
    scope: "worker",
    async provide(_deps, use) {
      log.push("open");
      const used = await use("pool");
      log.push("close");
      return used;
    },
  });
  const seen: string[] = [];
  const task = work.broker.task({
    name: "pooled",
    deps: { pool: getPool },
    run: (_i, { pool }) => void seen.push(pool),
  });
  const worker = work.work();
  const runs = await task.kiqMany([undefined, undefined, undefined] as never);
  await work.ledger.ended(runs.map(({ id }) => id));
  await worker.stop();
  assert.deepEqual(log, ["open", "close"]);
  work.work({ overrides: [override(getPool, "other")] });
  const last = await task.kiq();
  await work.ledger.ended([last.id]);
  assert.deepEqual(seen, ["pool", "pool", "pool", "other"]);
});

test("a handler that never comes back has its providers closed all the same", async () => {
  await using work = await openWork();
  const rolledBack = Promise.withResolvers<unknown>();
  const getSession = provider({
    async provide(_deps, use) {
      try {
        return await use("session");
      } catch (error) {
        rolledBack.resolve(error);
        throw error;
      }
    },
  });
  const stuck = work.broker.task({
    name: "stuck",
    deps: { session: getSession },
    timeout: "50ms",
    retry: { attempts: 1 },
    run: () => new Promise<void>(() => {}),
  });
  work.work();
  const run = await stuck.kiq();
  const [ending] = await work.ledger.ended([run.id]);
  assert.ok(ending?.type === "run.died");
  assert.equal(((await rolledBack.promise) as { code: string }).code, "timeout");
});

test("a result is kept as JSON while it can be asked for, and one that cannot travel fails the run", async () => {
  await using work = await openWork();
  const sum = work.broker.task({
    name: "sum",
    input: z.object({ a: z.number(), b: z.number() }),
    run: async ({ a, b }) => ({ sum: a + b }),
  });
  const odd = work.broker.task({ name: "odd", run: (() => ({ big: 1n })) as unknown as () => void });
  work.work();
  const run = await sum.kiq({ a: 1, b: 2 });
  assert.deepEqual(await run.result(), { sum: 3 });
  const bad = await odd.kiq();
  const [ending] = await work.ledger.ended([bad.id]);
  assert.ok(ending?.type === "run.died");
  assert.equal(ending.reason, "invalid_result");
});

test("progress is recorded, and the last of it is never lost", async () => {
  await using work = await openWork();
  const count = work.broker.task({
    name: "count",
    async run(_input, _deps, run) {
      for (let done = 0; done <= 100; done += 1) run.progress(done, 100, `at ${done}`);
    },
  });
  work.work();
  const run = await count.kiq();
  await work.ledger.ended([run.id]);
  const reports = (await work.ledger.events()).filter((event) => event.type === "run.progressed");
  assert.deepEqual(
    reports.map((event) => (event as { done: number }).done),
    [0, 100],
  );
});

test("what handlers throw, whatever it is, is recorded and costs nothing but its run", async () => {
  await using work = await openWork();
  const hostile = {
    get message(): string {
      throw new Error("no message");
    },
    get stack(): string {
      throw new Error("no stack");
    },
  };
  const cyclic = new Error("cyclic");
  cyclic.cause = cyclic;
  const things: unknown[] = [null, undefined, "text", 5, hostile, cyclic, Object.freeze(new Error("frozen")), () => {}];
  things.push(
    new Error("x".repeat(10_000_000)),
    new Error("\u0000\ud800"),
    new Proxy({}, { get: () => assert.fail() }),
  );
  const throwing = work.broker.task({
    name: "throwing",
    input: z.object({ which: z.number() }),
    retry: { attempts: 1 },
    async run({ which }) {
      throw things[which];
    },
  });
  work.work();
  const runs = await throwing.kiqMany(things.map((_, which) => ({ which })));
  const endings = await work.ledger.ended(runs.map(({ id }) => id));
  for (const ending of endings) {
    assert.ok(ending.type === "run.died" && ending.reason === "attempts");
    assert.ok((ending.error?.message.length ?? 0) <= 8_192);
  }
});

test("hooks run around attempts, give their trace context, and cost nothing when they fail", async (t) => {
  await using work = await openWork();
  const seen: [Execution, Ended][] = [];
  const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  const inHook = new AsyncLocalStorage<string>();
  const good: Middleware = {
    name: "good",
    attempt: (execution) => ({
      carrier: { traceparent },
      enter: (begin) => inHook.run("good", begin),
      end: (ended) => seen.push([execution, ended]),
    }),
  };
  const broken = () => {
    throw new Error("a broken tracer");
  };
  const bad: Middleware[] = [
    { name: "bad", attempt: broken },
    { name: "worse", attempt: () => ({ enter: broken, end: broken }) },
    { name: "forgetful", attempt: () => ({ enter() {} }) },
    { name: "eager", attempt: () => ({ enter: (begin) => [begin, begin].map((each) => each()) }) },
  ];
  processMiddleware().push(good, ...bad);
  t.after(() => processMiddleware().splice(0));
  const traced = work.broker.task({
    name: "traced",
    retry: { attempts: 2, delay: "1ms" },
    run(_input, _deps, run) {
      assert.equal(inHook.getStore(), "good");
      if (run.attempt === 1) throw new Error("once");
      assert.equal(run.traceId, traceparent.split("-")[1]);
    },
  });
  work.work();
  const run = await traced.kiq();
  await work.ledger.ended([run.id]);
  assert.deepEqual(
    seen.map(([execution, ended]) => [execution.attempt, ended.kind, execution.previous?.traceparent]),
    [
      [1, "failed", undefined],
      [2, "succeeded", traceparent],
    ],
  );
  const events = await work.ledger.events();
  for (const event of events.filter(({ type }) => ["run.started", "run.failed", "run.succeeded"].includes(type)))
    assert.equal(event.traceparent, traceparent);
});

test("one worker reads several queues, and one slot is all they share", async () => {
  await using work = await openWork();
  let running = 0;
  let most = 0;
  const run = async () => {
    running += 1;
    most = Math.max(most, running);
    await new Promise((resolve) => setTimeout(resolve, 5));
    running -= 1;
  };
  const tasks = ["default", "mail", "reports"].map((queue) => work.broker.task({ name: `in_${queue}`, queue, run }));
  work.work({ concurrency: 2 });
  const runs = (await Promise.all(tasks.map((task) => task.kiqMany(Array.from({ length: 20 }))))).flat();
  await Promise.all(runs.map((one) => one.result()));
  assert.equal(most, 2);
});

test("no handler runs in the context of the run before it", async () => {
  await using work = await openWork();
  const ambient = new AsyncLocalStorage<string>();
  const seen: (string | undefined)[] = [];
  const task = work.broker.task({
    name: "leaky",
    async run(_input, _deps, run) {
      seen.push(ambient.getStore());
      ambient.enterWith(run.id);
    },
  });
  const runs = await task.kiqMany(Array.from({ length: 50 }, () => undefined));
  work.work({ concurrency: 3 });
  await work.ledger.ended(runs.map(({ id }) => id));
  assert.deepEqual(
    seen,
    runs.map(() => undefined),
  );
});
