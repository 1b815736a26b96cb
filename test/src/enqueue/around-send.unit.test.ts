import assert from "node:assert/strict";
import { test } from "node:test";
import { type Around, aroundSend, sendHooks } from "../../../src/enqueue/around-send.ts";
import type { Carrier, Middleware, Notice } from "../../../src/middleware.ts";

async function through(middleware: Middleware[], dispatch: (carrier: Carrier) => Promise<string>) {
  const notices: Notice[] = [];
  const around: Around<string> = {
    hooks: sendHooks(middleware),
    sending: { task: "t", queue: "q", runs: ["r"] },
    dispatch,
    announce: (notice) => notices.push(notice),
  };
  const outcome = await aroundSend(around).then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  );
  return { outcome, notices };
}

test("hooks nest, and what each puts into the carrier travels", async () => {
  const order: string[] = [];
  const hook = (name: string, carrier: Carrier): Middleware => ({
    name,
    send: () => ({
      carrier,
      enter(begin) {
        order.push(`${name} in`);
        begin();
      },
      end: () => order.push(`${name} out`),
    }),
  });
  let seen: Carrier = {};
  const { outcome } = await through(
    [hook("a", { traceparent: "1" }), { name: "deaf" }, hook("b", { tracestate: "2" })],
    async (carrier) => {
      seen = carrier;
      return "sent";
    },
  );
  assert.deepEqual(outcome, { value: "sent" });
  assert.deepEqual(seen, { traceparent: "1", tracestate: "2" });
  assert.deepEqual(order, ["a in", "b in", "b out", "a out"]);
});

const fail = () => {
  throw new Error("of its own");
};
const broken: Record<string, Middleware> = {
  "throws when it is asked for": { name: "broken", send: fail },
  "throws before": { name: "broken", send: () => ({ enter: fail }) },
  "throws after": { name: "broken", send: () => ({ end: fail }) },
};

for (const [how, hook] of Object.entries(broken)) {
  test(`a hook that ${how} the dispatch is told of, and costs no run`, async () => {
    let count = 0;
    const { outcome, notices } = await through([hook], async () => {
      count += 1;
      return "sent";
    });
    assert.deepEqual(outcome, { value: "sent" });
    assert.equal(count, 1);
    assert.match(notices[0]?.kind === "problem" ? notices[0].what : "", /broken/);
  });
}

test("a hook that forgets to call on, or calls on twice, has the run dispatched once", async () => {
  const forgetful: Middleware = { name: "forgetful", send: () => ({ enter() {} }) };
  const eager: Middleware = { name: "eager", send: () => ({ enter: (begin) => [begin, begin].map((each) => each()) }) };
  let count = 0;
  const { outcome } = await through([forgetful, eager], async () => {
    count += 1;
    return "sent";
  });
  assert.deepEqual([outcome, count], [{ value: "sent" }, 1]);
});

test("the error of a dispatch is told to hooks, and is no fault of theirs", async () => {
  const failed = new Error("Redis is gone");
  const heard: unknown[] = [];
  const watcher: Middleware = { name: "watcher", send: () => ({ end: ({ error }) => heard.push(error) }) };
  const { outcome, notices } = await through([watcher], () => Promise.reject(failed));
  assert.deepEqual([outcome, notices, heard], [{ error: failed }, [], [failed]]);
});
