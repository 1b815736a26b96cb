import assert from "node:assert/strict";
import { test } from "node:test";
import type { TaskRecord } from "../../../src/define/task.ts";
import { provider } from "../../../src/di/provider.ts";
import { openWorkerScope } from "../../../src/di/worker-scope.ts";
import { type Effect, invoke } from "../../../src/execute/invoke.ts";
import type { RunContext } from "../../../src/run.ts";

function invocation(given: Partial<TaskRecord>, effects: readonly Effect[] = []) {
  const record = { name: "task", deps: {}, run: () => 7, ...given } as TaskRecord;
  return {
    record,
    input: 1,
    scope: openWorkerScope(),
    context: {} as RunContext,
    effects,
    keep: (value: unknown) => value,
  };
}

test("a handler with nothing to wait for gives its result at once", () => {
  assert.equal(invoke(invocation({})), 7);
});

test("what a handler throws at once is thrown at once", () => {
  const run = () => {
    throw new Error("now");
  };
  assert.throws(() => invoke(invocation({ run })), /now/);
});

test("an effect that is put off by an effect comes last", async () => {
  const order: number[] = [];
  const effects: Effect[] = [];
  effects.push(
    () => {
      order.push(1);
      effects.push(() => order.push(3));
    },
    () => order.push(2),
  );
  assert.equal(await invoke(invocation({}, effects)), 7);
  assert.deepEqual(order, [1, 2, 3]);
});

test("what keeps a result does so while providers can still roll back", async () => {
  const log: string[] = [];
  const db = provider({
    async provide(_deps, use) {
      const used = await use(1);
      log.push("commits");
      return used;
    },
  });
  const kept = { ...invocation({ deps: { db } }), keep: (value: unknown) => log.push("kept") && value };
  assert.equal(await invoke(kept), 7);
  assert.deepEqual(log, ["kept", "commits"]);
});
