import assert from "node:assert/strict";
import { test } from "node:test";
import { z } from "zod";
import { contract } from "../../../src/define/contract.ts";
import { cron } from "../../../src/define/cron.ts";
import { declareContract, declareTask } from "../../../src/define/declare.ts";
import { createRegistry } from "../../../src/define/registry.ts";
import type { TaskHost } from "../../../src/define/task.ts";
import { topic } from "../../../src/define/topic.ts";
import { provider } from "../../../src/di/provider.ts";

const host: TaskHost = { register: declareTask };
const run = () => {};
const input = z.object({ id: z.string() });

test("a task is kept as it was declared, with the defaults in", () => {
  const record = declareTask({ name: "resize", input, timeout: "5s", run });
  const { name, queue, version, output, deps, policies, cron: when } = record;
  assert.deepEqual(
    { name, queue, version, output, deps, when },
    { name: "resize", queue: "default", version: 1, output: undefined, deps: {}, when: undefined },
  );
  assert.equal(record.input, input);
  assert.equal(record.run, run);
  assert.equal(policies.timeout, "5s");
  assert.ok(Object.isFrozen(record));
});

test("a declaration knows its place", () => {
  assert.match(declareTask({ name: "here", run }).declaredAt, /\/declare\.unit\.test\.ts:\d+$/);
  const viaContract = contract({ name: "there" }).implement(host, { run }) as never as { declaredAt: string };
  assert.match(viaContract.declaredAt, /\/declare\.unit\.test\.ts:\d+$/);
});

test("a mistake is told with the name of its task", () => {
  const mistakes: [object, RegExp][] = [
    [
      { name: "a", run, timout: "5s" },
      /^InvalidOption: task "a": timout: a task has no such option\. Did you mean "timeout"\?/,
    ],
    [{ name: "a", run, output: input }, /output: .*contract\(\{ output \}\)\.implement/],
    [{ name: "a", run, retry: { attemps: 2 } }, /task "a": attemps: retry has no such option/],
    [{ name: "a", run, timeout: 5 }, /task "a": timeout: 5 has no unit/],
    [{ name: "a", run, concurrency: 5 }, /it belongs to the worker: createWorker/],
    [{ name: "a", run, input: { id: "string" } }, /input: an object is not a schema: use zod/],
    [{ name: "a", run, deps: { db: undefined } }, /deps\.db: undefined when task "a" was declared/],
    [{ name: "a", run, deps: { db: () => 5 } }, /deps\.db: not a provider/],
    [{ name: "a", run, queue: "a:b" }, /queue: "a:b" cannot be a queue/],
    [{ name: "a", run, version: 0 }, /version: 0 is not a whole number/],
    [{ name: "a" }, /run: the handler is missing/],
    [{ name: "a", handler: run }, /handler: a task has no such option: the handler is called `run`/],
    [{ name: "", run }, /name: "" cannot be a task's name: 1 to 100 characters/],
    [{ run }, /name: undefined cannot be a task's name/],
    [{ name: "a b", run }, /name: "a b" cannot be a task's name/],
    [5 as never, /takes an object of options/],
  ];
  for (const [definition, message] of mistakes) assert.throws(() => declareTask(definition), message);
});

test("a cron's expression and policies are checked when it is declared", () => {
  const nightly = cron(host, "0 3 * * *", {
    name: "nightly",
    lockTtl: 300,
    timezone: "Europe/Berlin",
    run: () => {},
  }) as never as ReturnType<typeof declareTask>;
  assert.deepEqual(nightly.cron, {
    expression: "0 3 * * *",
    timezone: "Europe/Berlin",
    lockTtlMs: 300_000,
    overlap: "skip",
    misfire: "fire_once",
    catchUpMs: 3_600_000,
    jitterMs: 0,
    startsAtMs: undefined,
    endsAtMs: undefined,
    maxRuns: undefined,
  });
  const declare = (expression: string, options: object) => () =>
    cron(host, expression, { name: "c", run: () => {}, ...options });
  assert.throws(declare("0 25 * * *", {}), /cron "c": expression: hour: 25 is not from 0 to 23/);
  assert.throws(declare("* * * * *", { timezone: "Berlin" }), /cron "c": timezone: .*"Europe\/Berlin"/);
  assert.throws(
    declare("* * * * *", { input }),
    /input: a cron has no such option: a cron's first argument is its slot/,
  );
  assert.throws(declare("* * * * *", { lockTtl: 0 }), /lockTtl: a lock of no length/);
  assert.throws(declare("* * * * *", { overlap: "skp" }), /overlap: "skp" is none of .*Did you mean "skip"/);
  assert.throws(declare("* * * * *", { misfire: "none" }), /misfire: "none" is none of/);
  assert.throws(declare("* * * * *", { maxRuns: 0 }), /maxRuns: 0/);
  assert.throws(declare("* * * * *", { startsAt: new Date(5), endsAt: new Date(4) }), /endsAt: lies before startsAt/);
});

test("a contract's part and the worker's part are kept apart", () => {
  const sendInvoice = contract({
    name: "send_invoice",
    input,
    output: z.object({ number: z.string() }),
    queue: "money",
    version: 2,
  });
  const record = sendInvoice.implement(host, {
    retry: { attempts: 9 },
    run: () => ({ number: "1" }),
  }) as never as ReturnType<typeof declareTask>;
  assert.deepEqual(
    [record.name, record.queue, record.version, record.policies.retry?.attempts],
    ["send_invoice", "money", 2, 9],
  );
  assert.equal(record.output, sendInvoice.output);
  const bound = declareContract("sendInvoice", sendInvoice);
  assert.deepEqual([bound.name, bound.run, bound.input], ["send_invoice", undefined, input]);
  assert.throws(
    () => contract({ name: "x", run } as never),
    /contract "x": run: a contract has no such option: it is the worker's/,
  );
  assert.throws(
    () => sendInvoice.implement(host, { queue: "mine", run } as never),
    /queue: of contract "send_invoice" is the contract's/,
  );
  assert.throws(() => sendInvoice.implement(host, { timout: "5s", run } as never), /timout: a task has no such option/);
  assert.throws(() => declareContract("oops", { name: "a" }), /oops: bind takes contracts/);
  assert.throws(() => declareContract("oops", undefined), /bind takes contracts.*undefined/);
});

test("a topic has a name and a schema", () => {
  assert.equal(topic("user.created", input).name, "user.created");
  assert.throws(() => topic("user created", input), /a topic's name/);
  assert.throws(() => topic("user.created", {} as never), /topic "user\.created" needs a schema/);
});

test("the last declaration of a name counts, until a worker asks for each name to be there once", () => {
  const registry = createRegistry();
  registry.assertUnique();
  const first = declareTask({ name: "a", queue: "emails", run });
  const second = declareTask({ name: "a", queue: "money", run });
  for (const record of [first, declareTask({ name: "b", run }), second]) registry.add(record);
  assert.equal(registry.get("a"), second);
  assert.deepEqual(
    registry.tasks().map(({ name }) => name),
    ["a", "b"],
  );
  assert.equal(registry.declarations().length, 3);
  assert.deepEqual(registry.queues(), ["default", "money"]);
  assert.throws(
    () => registry.assertUnique(),
    (error: Error & { code?: string; details?: { places?: string[] } }) => {
      assert.equal(error.code, "duplicate_task");
      assert.deepEqual(error.details?.places, [first.declaredAt, second.declaredAt]);
      return true;
    },
  );
});

test("declaring hundreds of tasks takes milliseconds", () => {
  const registry = createRegistry();
  const getDb = provider({ provide: (_, use) => use(1) });
  const before = performance.now();
  for (let index = 0; index < 300; index++)
    registry.add(declareTask({ name: `task_${index}`, input, deps: { getDb }, run }));
  registry.assertUnique();
  assert.ok(performance.now() - before < 500);
});
