import assert from "node:assert/strict";
import { test } from "node:test";
import { z } from "zod";
import { type CronTask, cron, makeCronTask } from "../../../src/define/cron.ts";
import { declareTask } from "../../../src/define/declare.ts";
import { type DispatchPort, makeTask, makeTaskRef, type Task, type TaskRecord } from "../../../src/define/task.ts";
import type { RunHandle } from "../../../src/run.ts";

/** An engine that only writes down what it is asked for. */
function portOf(calls: unknown[][]): DispatchPort {
  const handle = (id: string) => ({ id }) as RunHandle<never>;
  return {
    async sendOne(task, input, options) {
      calls.push(["sendOne", task.name, input, options]);
      return handle("r0");
    },
    async send(task, inputs, options, keyOf) {
      calls.push(["send", task.name, inputs, options, inputs.map((input) => keyOf?.(input))]);
      return inputs.map((_, index) => handle(`r${index}`));
    },
    handle: (task, id) => handle(`${task?.name} ${id}`),
    async *events() {},
    async trigger(task) {
      calls.push(["trigger", task.name]);
      return handle("slot");
    },
    async call(task, input, slot, overrides) {
      calls.push(["call", task.name, input, slot, overrides]);
      return "called";
    },
  };
}

const withInput = declareTask({ name: "in", input: z.object({ id: z.string() }), run() {} });
const without = declareTask({ name: "none", run() {} });

const taskOf = (calls: unknown[][]): Task<{ id: string }, unknown, { db: string }> =>
  makeTask(withInput, portOf(calls));

test("a task object asks the engine, and is none itself", async () => {
  const calls: unknown[][] = [];
  const task = taskOf(calls);
  assert.equal(task.name, "in");
  assert.equal((await task.kiq({ id: "a" })).id, "r0");
  assert.deepEqual(
    (await task.kiqMany([{ id: "a" }, { id: "b" }], { key: ({ id }: { id: string }) => `k:${id}` })).map(
      ({ id }) => id,
    ),
    ["r0", "r1"],
  );
  await task.with({ delay: "5m" }).kiq({ id: "c" });
  assert.equal(task.handle("x").id, "in x");
  assert.deepEqual(calls, [
    ["sendOne", "in", { id: "a" }, {}],
    ["send", "in", [{ id: "a" }, { id: "b" }], {}, ["k:a", "k:b"]],
    ["sendOne", "in", { id: "c" }, { delay: "5m" }],
  ]);
});

test("a call takes the input first where there is one, and overrides first where there is none", async () => {
  const calls: unknown[][] = [];
  const overrides = { db: "fake" };
  await taskOf(calls).call({ id: "a" }, overrides);
  const bare: Task<undefined, unknown, { db: string }> = makeTask(without, portOf(calls));
  await bare.call(overrides);
  assert.deepEqual(calls, [
    ["call", "in", { id: "a" }, undefined, overrides],
    ["call", "none", undefined, undefined, overrides],
  ]);
});

test("one key for many inputs is refused, since all would be one run", async () => {
  const task = taskOf([]);
  await assert.rejects(
    task.with({ key: "k" }).kiqMany([{ id: "a" }]),
    /one key would fold all of kiqMany into one run/,
  );
  await assert.rejects(task.kiqMany({ id: "a" } as never), /takes an array/);
});

test("what a bound contract gives can be dispatched and not called", () => {
  assert.deepEqual(Object.keys(makeTaskRef(withInput, portOf([]))).sort(), [
    "handle",
    "kiq",
    "kiqMany",
    "name",
    "with",
  ]);
});

test("methods of a task need no this", async () => {
  const { kiq, with: given, call } = taskOf([]);
  assert.equal((await kiq({ id: "a" })).id, "r0");
  assert.equal((await given({}).kiq({ id: "a" })).id, "r0");
  assert.equal(await call({ id: "a" }), "called");
});

function cronTask(calls: unknown[][], options: object = {}): CronTask<unknown> {
  const clock = { now: () => Date.parse("2026-01-01T12:00:00Z"), elapsed: () => 0 };
  const host = { register: (definition: object) => makeCronTask(declareTask(definition), portOf(calls), clock) };
  return cron(host, "0 3 * * *", { name: "nightly", timezone: "Europe/Berlin", run() {}, ...options });
}

test("a cron object tells its next instants, and asks the engine for the rest", async () => {
  const calls: unknown[][] = [];
  const nightly = cronTask(calls);
  assert.deepEqual([nightly.name, nightly.expression, nightly.timezone], ["nightly", "0 3 * * *", "Europe/Berlin"]);
  assert.deepEqual(
    nightly.next(2).map((at) => at.toISOString()),
    ["2026-01-02T02:00:00.000Z", "2026-01-03T02:00:00.000Z"],
  );
  assert.equal(nightly.next().length, 3);
  assert.throws(() => nightly.next(-1), /count: -1 is not a whole number/);
  assert.equal((await nightly.trigger()).id, "slot");
  const slot = { at: new Date(5) };
  assert.equal(await nightly.call(slot, {}), "called");
  assert.equal(nightly.handle("x").id, "nightly x");
  assert.deepEqual(calls, [
    ["trigger", "nightly"],
    ["call", "nightly", undefined, slot, {}],
  ]);
});

test("a cron has no instants before its start or after its end", () => {
  const bounded = cronTask([], {
    startsAt: new Date("2026-02-01T02:00:00Z"),
    endsAt: new Date("2026-02-02T02:00:00Z"),
  });
  assert.deepEqual(
    bounded.next(5).map((at) => at.toISOString()),
    ["2026-02-01T02:00:00.000Z", "2026-02-02T02:00:00.000Z"],
  );
  assert.throws(() => makeCronTask(without as TaskRecord, portOf([])), /is on no schedule/);
});
