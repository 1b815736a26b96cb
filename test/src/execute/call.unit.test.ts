import assert from "node:assert/strict";
import { test } from "node:test";
import { z } from "zod";
import { createBroker } from "../../../src/broker.ts";
import { contract } from "../../../src/define/contract.ts";
import { cron } from "../../../src/define/cron.ts";
import { getBroker, getRun } from "../../../src/di/leaves.ts";
import { override, provider } from "../../../src/di/provider.ts";
import type { RunContext } from "../../../src/run.ts";

function openBroker() {
  const logger = { debug() {}, info() {}, warn() {}, error() {}, child: () => logger };
  return createBroker({ namespace: "n", redis: () => assert.fail("Redis was opened"), logger });
}

/** A provider that writes down what happens to it. */
function noted(log: string[], name: string, scope: "run" | "worker" = "run") {
  return provider({
    scope,
    async provide(_deps, use) {
      log.push(`${name} opens`);
      try {
        const used = await use(name);
        log.push(`${name} commits`);
        return used;
      } catch (error) {
        log.push(`${name} rolls back`);
        throw error;
      }
    },
  });
}

test("a call runs the handler on what would have travelled, and gives what would have come back", async () => {
  const when = z.codec(z.iso.datetime(), z.date(), {
    decode: (text) => new Date(text),
    encode: (date) => date.toISOString(),
  });
  const broker = openBroker();
  const task = broker.task({
    name: "task",
    input: z.object({ at: when, n: z.number().default(2) }),
    run: ({ at, n }) => ({ year: at.getFullYear(), n, gone: undefined as undefined | string }),
  });
  const result = await task.call({ at: "2026-03-01T00:00:00Z", extra: 1 } as { at: string });
  assert.deepEqual(result, { year: 2026, n: 2 });
  await assert.rejects(task.call({ at: "soon" }), { code: "invalid_input" });
});

test("a result that cannot travel fails the call while everything can still be rolled back", async () => {
  const log: string[] = [];
  const task = openBroker().task({
    name: "task",
    deps: { db: noted(log, "db") },
    run: (): unknown => ({ at: new Date() }),
  });
  await assert.rejects(task.call(), { code: "not_json", message: /result\.at is a Date/ });
  assert.deepEqual(log, ["db opens", "db rolls back"]);
});

test("dependencies open and close, effects run after the commits, worker-scoped ones close last", async () => {
  const log: string[] = [];
  const task = openBroker().task({
    name: "task",
    deps: { pool: noted(log, "pool", "worker"), db: noted(log, "db") },
    run(_input, _deps, run) {
      run.onCommit(async () => {
        await Promise.resolve();
        log.push("first effect");
      });
      run.onCommit(() => log.push("second effect"));
      log.push("handler");
      return 1;
    },
  });
  assert.equal(await task.call(), 1);
  assert.deepEqual(log, [
    "pool opens",
    "db opens",
    "handler",
    "db commits",
    "first effect",
    "second effect",
    "pool commits",
  ]);
});

test("a handler that throws rolls back, drops its effects, and its error is what the caller gets", async () => {
  const log: string[] = [];
  const mistake = new Error("mine");
  const task = openBroker().task({
    name: "task",
    deps: { db: noted(log, "db") },
    run(_input, _deps, run) {
      run.onCommit(() => log.push("effect"));
      throw mistake;
    },
  });
  await assert.rejects(task.call(), (error) => error === mistake);
  assert.deepEqual(log, ["db opens", "db rolls back"]);
});

test("an effect that fails fails the call", async () => {
  const task = openBroker().task({
    name: "task",
    run(_input, _deps, run) {
      run.onCommit(() => Promise.reject(new Error("not published")));
    },
  });
  await assert.rejects(task.call(), /not published/);
});

test("values take the place of providers, by name and by provider, nested ones too", async () => {
  const log: string[] = [];
  const getPool = noted(log, "pool", "worker");
  const getDb = provider({ deps: { pool: getPool }, provide: ({ pool }, use) => use(`db on ${pool}`) });
  const task = openBroker().task({ name: "task", deps: { db: getDb }, run: (_input, { db }) => db });
  assert.equal(await task.call({ db: "mine" }), "mine");
  assert.equal(await task.call([override(getPool, "a fake")]), "db on a fake");
  assert.deepEqual(log, []);
  await assert.rejects(task.call({ bd: "mine" } as never), /Did you mean "db"\?/);
});

test("a call that takes longer than its timeout is told, and given up when it does not listen", async () => {
  const log: string[] = [];
  let told: unknown;
  const task = openBroker().task({
    name: "task",
    timeout: "30ms",
    deps: { db: noted(log, "db") },
    run(_input, _deps, { signal }) {
      signal.addEventListener("abort", () => {
        told = signal.reason;
      });
      return new Promise<void>(() => {});
    },
  });
  await assert.rejects(task.call(), { code: "timeout" });
  assert.equal((told as { code?: string }).code, "timeout");
  assert.deepEqual(log, ["db opens", "db rolls back"]);
});

test("a call that is extended has the time that it asked for", async () => {
  const task = openBroker().task({
    name: "task",
    timeout: "40ms",
    async run(_input, _deps, run) {
      await run.extend("10s");
      await new Promise((resolve) => setTimeout(resolve, 80)); // past the timeout is what is tested
      return run.signal.aborted;
    },
  });
  assert.equal(await task.call(), false);
});

test("a cron is called for a slot, which is this instant unless told otherwise", async () => {
  const broker = openBroker();
  const day = cron(broker, "0 3 * * *", {
    name: "day",
    timezone: "Europe/Berlin",
    run: (slot, _deps, run) => ({ ...slot, at: slot.at.getTime(), previous: null, isSame: run.slot === slot }),
  });
  assert.deepEqual(await day.call({ at: new Date(5) }), {
    schedule: "day",
    at: 5,
    previous: null,
    timezone: "Europe/Berlin",
    trigger: "manual",
    isSame: true,
  });
  assert.ok(Math.abs((await day.call()).at - Date.now()) < 2_000);
});

test("a handler that is called in place sees a context, its broker, and no Redis", async () => {
  const broker = openBroker();
  let context: RunContext | undefined;
  const task = broker.task({
    name: "task",
    queue: "slow",
    deps: { run: getRun, owner: getBroker },
    run(_input, { run, owner }, own) {
      context = own;
      run.progress(1, 2);
      return run === own && owner === broker;
    },
  });
  assert.equal(await task.call(), true);
  assert.deepEqual([context?.task, context?.queue, context?.attempt, context?.slot], ["task", "slow", 1, undefined]);
  assert.deepEqual(context?.bindings, { run: context?.id, task: "task", attempt: 1 });
  assert.throws(() => context?.onCommit(undefined as never), { code: "invalid_option" });
});

test("a bound contract cannot be called: its handler is elsewhere", async () => {
  const broker = openBroker();
  const away = contract({ name: "away" });
  const here = away.implement(openBroker(), { run() {} });
  assert.equal(await here.call(), undefined);
  assert.equal("call" in broker.bind({ away }).away, false);
});

test("a provider that does not close well fails a call that went well, and hides no error of one that did not", async () => {
  const getLeaky = provider({
    scope: "worker",
    async provide(_deps, use) {
      await use("pool");
      throw new Error("does not close");
    },
  });
  const good = openBroker().task({ name: "good", deps: { pool: getLeaky }, run: () => 1 });
  const bad = openBroker().task({
    name: "bad",
    deps: { pool: getLeaky },
    run() {
      throw new Error("mine");
    },
  });
  await assert.rejects(good.call(), /does not close/);
  await assert.rejects(bad.call(), /mine/);
});
