import assert from "node:assert/strict";
import { test } from "node:test";
import { z } from "zod";
import { createBroker } from "../../src/broker.ts";
import { contract } from "../../src/define/contract.ts";
import { cron } from "../../src/define/cron.ts";
import { engineOf, isBroker } from "../../src/engine.ts";
import { processMiddleware } from "../../src/middleware.ts";

test("a broker is made without reading a variable or an option's value", (t) => {
  let readCount = 0;
  const real = process.env;
  t.after(() => {
    process.env = real;
  });
  process.env = new Proxy(real, {
    get(target, name) {
      readCount += 1;
      return Reflect.get(target, name);
    },
  });
  const broker = createBroker({ redis: () => assert.fail("opened"), database: () => assert.fail("opened") });
  broker.task({ name: "task", run() {} });
  assert.equal(readCount, 0);
  assert.equal(isBroker(broker), true);
});

test("what a broker opens later, it reads when it is used: a variable may be set after it was made", () => {
  const { TASKTRAIL_NAMESPACE: before } = process.env;
  const broker = createBroker();
  process.env.TASKTRAIL_NAMESPACE = "later";
  assert.equal(engineOf(broker).namespace, "later");
  if (before === undefined) delete process.env.TASKTRAIL_NAMESPACE;
  else process.env.TASKTRAIL_NAMESPACE = before;
});

test("an option that no broker has is refused with what was probably meant", () => {
  assert.throws(() => createBroker({ namspace: "a" } as never), /Did you mean "namespace"\?/);
});

test("the engine knows what was declared, and the last of a name counts", () => {
  const broker = createBroker({ namespace: "n" });
  const engine = engineOf(broker);
  broker.task({ name: "b", queue: "slow", run() {} });
  broker.task({ name: "a", run() {} });
  const again = () => "again";
  broker.task({ name: "b", queue: "fast", run: again });
  cron(broker, "0 0 * * *", { name: "c", run() {} });
  assert.deepEqual(
    engine.records.map(({ name }) => name),
    ["b", "a", "b", "c"],
  );
  assert.equal(engine.task("b")?.run, again);
  assert.deepEqual(engine.queues(), ["default", "fast"]);
  assert.equal(engine.task("nobody"), undefined);
});

test("options, with passwords perhaps, are not printed with a broker", async () => {
  const { inspect } = await import("node:util");
  const broker = createBroker({ redis: "redis://:hunter2@localhost" });
  assert.doesNotMatch(inspect(broker, { depth: 5 }), /hunter2/);
  assert.doesNotMatch(JSON.stringify(broker), /hunter2/);
});

test("bind takes contracts only, and what it gives has no handler", async () => {
  const broker = createBroker({ namespace: "n" });
  const known = contract({ name: "known", input: z.string() });
  const bound = broker.bind({ known });
  assert.equal(bound.known.name, "known");
  assert.deepEqual(engineOf(broker).records, []);
  assert.throws(() => broker.bind({ known: {} as never }), /bind takes contracts/);
  await assert.rejects(
    known
      .implement(createBroker(), { run() {} })
      .call("a")
      .then(() => bound.known.handle("x")),
    {
      code: "invalid_option",
    },
  );
});

test("middleware that a process gets later is heard of by brokers that it had before", () => {
  const broker = createBroker({ namespace: "n", logger: silent() });
  const engine = engineOf(broker);
  assert.deepEqual(
    engine.middleware.map(({ name }) => name),
    ["tasktrail.log"],
  );
  const heard: unknown[] = [];
  const late = { name: "late", notice: (notice: unknown) => heard.push(notice) };
  const thrower = {
    name: "thrower",
    notice() {
      throw new Error("of its own");
    },
  };
  processMiddleware().push(thrower, late);
  const notice = { kind: "problem", what: "nothing" } as const;
  engine.announce(notice);
  assert.deepEqual(heard, [notice]);
  assert.equal(engine.middleware.length, 3);
  processMiddleware().splice(0);
  assert.equal(engine.middleware.length, 1);
});

test("a broker that was never used is closed at once", async () => {
  await using _unused = createBroker();
  await createBroker().close();
});

function silent() {
  const logger = { debug() {}, info() {}, warn() {}, error() {}, child: () => logger };
  return logger;
}
