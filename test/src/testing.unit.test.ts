import assert from "node:assert/strict";
import { test } from "node:test";
import { Abort, createBroker, cron, override, provider, topic } from "tasktrail";
import { getEventPublisher } from "tasktrail/deps";
import { slotAt, testBroker } from "tasktrail/testing";
import { z } from "zod";

const NOON = new Date("2026-01-01T12:00:00Z");

test("what a run dispatches is kept, and run by drain, without Redis", async () => {
  const broker = createBroker();
  const audit = broker.task({ name: "audit", input: z.object({ what: z.string() }), run: ({ what }) => what.length });
  const signUp = broker.task({
    name: "sign_up",
    input: z.object({ email: z.string() }),
    async run({ email }) {
      await audit.with({ key: email }).kiq({ what: `signed up ${email}` });
    },
  });
  using played = testBroker(broker);
  const run = await signUp.kiq({ email: "a@b.co" });
  assert.equal(await run.status(), "waiting");
  await played.drain();
  assert.equal(await run.status(), "succeeded");
  assert.deepEqual(
    played.dispatched(audit).map(({ input }) => input),
    [{ what: "signed up a@b.co" }],
  );
  assert.equal(played.dispatched(audit)[0]?.options.key, "a@b.co");
});

test("a failed run is tried again by drain, and its history is that of a real one", async () => {
  const broker = createBroker();
  const flaky = broker.task({
    name: "flaky",
    retry: { attempts: 3 },
    run(_input, _deps, run) {
      if (run.attempt < 3) throw new Error(`attempt ${run.attempt}`);
      return run.attempt;
    },
  });
  using played = testBroker(broker);
  const run = await flaky.kiq();
  await played.drain();
  assert.equal(await run.result(), 3);
  assert.deepEqual(
    played.events.map((event) => event.type),
    [
      "run.enqueued",
      "run.started",
      "run.failed",
      "run.due",
      "run.started",
      "run.failed",
      "run.due",
      "run.started",
      "run.succeeded",
    ],
  );
});

test("drain rejects with the error of the run that died, unless it is told to keep it", async () => {
  const broker = createBroker();
  const doomed = broker.task({
    name: "doomed",
    run() {
      throw new Abort("no hope");
    },
  });
  using played = testBroker(broker);
  await doomed.kiq();
  await assert.rejects(played.drain(), /no hope/);
  const second = await doomed.kiq();
  await played.drain({ died: "keep" });
  assert.equal(await second.status(), "died");
  await assert.rejects(second.result(), { code: "run_failed" });
});

test("the clock moves by hand: delays, retries and crons run as they fall due", async () => {
  const broker = createBroker();
  const later = broker.task({ name: "later", run: () => {} });
  const slots: string[] = [];
  cron(broker, "*/20 * * * *", { name: "tick", run: (slot) => void slots.push(slot.at.toISOString()) });
  using played = testBroker(broker, { now: NOON });
  const run = await later.with({ delay: "10m" }).kiq();
  await played.advance("9m");
  assert.equal(await run.status(), "scheduled");
  await played.advance("1m");
  assert.equal(await run.status(), "succeeded");
  await played.advance("50m");
  assert.deepEqual(slots, ["2026-01-01T12:20:00.000Z", "2026-01-01T12:40:00.000Z", "2026-01-01T13:00:00.000Z"]);
});

test("a key gives the first run back, and an input crosses JSON", async () => {
  const broker = createBroker();
  const seen: unknown[] = [];
  const task = broker.task({
    name: "t",
    input: z.object({ at: z.string(), n: z.number().default(7) }),
    run: (input) => void seen.push(input),
  });
  using played = testBroker(broker);
  const first = await task.with({ key: "k" }).kiq({ at: "x" });
  const again = await task.with({ key: "k" }).kiq({ at: "y" });
  assert.deepEqual([again.id === first.id, again.isNew], [true, false]);
  await played.drain();
  assert.deepEqual(seen, [{ at: "x", n: 7 }]);
});

test("providers are replaced, and events are published only by runs that succeed", async () => {
  const broker = createBroker();
  const getGreeting = provider({ scope: "worker", provide: (_deps, use) => use("hello") });
  const said = topic("said", z.object({ what: z.string() }));
  const say = broker.task({
    name: "say",
    input: z.object({ fails: z.boolean() }),
    deps: { greeting: getGreeting, events: getEventPublisher },
    retry: { attempts: 1 },
    run({ fails }, { greeting, events }) {
      events.publish(said, { what: greeting });
      if (fails) throw new Error("rolled back");
    },
  });
  using played = testBroker(broker, { overrides: [override(getGreeting, "good day")] });
  await say.kiqMany([{ fails: true }, { fails: false }]);
  await played.drain({ died: "keep" });
  assert.deepEqual(
    played.published(said).map(({ data }) => data),
    [{ what: "good day" }],
  );
});

test("what is published becomes a run of each subscriber, once per event, and of none when it does not fit", async () => {
  const broker = createBroker();
  const said = topic("said", z.object({ what: z.string() }));
  const seen: unknown[] = [];
  const hear = broker.task({
    name: "hear",
    input: z.object({ what: z.string() }),
    run: (input) => void seen.push(input),
  });
  const count = broker.task({ name: "count", input: z.object({ length: z.int().positive() }), run() {} });
  const say = broker.task({
    name: "say",
    input: z.object({ words: z.array(z.string()), id: z.string().optional(), fails: z.boolean().default(false) }),
    deps: { events: getEventPublisher },
    retry: { attempts: 1 },
    run({ words, id, fails }, { events }) {
      for (const what of words) events.publish(said, { what }, { subject: "me", id });
      if (fails) throw new Error("rolled back");
    },
  });
  broker.on(said, hear.with({ delay: "1h", labels: { via: "topic" } }));
  broker.on(
    said.map(({ data }) => ({ length: data.what.length })),
    count,
  );
  using played = testBroker(broker, { now: NOON });
  await say.kiq({ words: ["never"], fails: true });
  await say.kiq({ words: ["one", ""] });
  await say.kiqMany(["once", "once"].map((what) => ({ words: [what], id: "the same" })));
  await played.drain({ died: "keep" });
  assert.deepEqual(
    played.dispatched(count).map(({ input }) => input.length),
    [3, 4],
  );
  assert.deepEqual(seen, []);
  await played.advance("1h");
  assert.deepEqual(seen, [{ what: "one" }, { what: "" }, { what: "once" }]);
  assert.deepEqual(played.dispatched(hear)[0]?.options.labels, { via: "topic" });
  const refused = played.events.filter((event) => event.type === "event.refused");
  assert.deepEqual(
    refused.map(({ topic: name, task }) => [name, task]),
    [["said", "count"]],
  );
});

test("once it is disposed, the broker is back on Redis", async () => {
  const broker = createBroker({ redis: "redis://127.0.0.1:1", enqueueTimeout: "100ms" });
  const task = broker.task({ name: "t", run: () => {} });
  {
    using played = testBroker(broker);
    await task.kiq();
    assert.equal(played.dispatched(task).length, 1);
  }
  await assert.rejects(task.kiq(), { code: "enqueue_failed" });
  await broker.close();
});

test("a slot for a cron's handler is made of an instant", () => {
  assert.equal(slotAt("2026-01-01T00:00:00Z").at.getTime(), Date.UTC(2026, 0, 1));
  assert.throws(() => slotAt("soon"), { code: "invalid_option" });
});

test("a test broker's ledger is read as a real one is", async () => {
  const broker = createBroker();
  const noop = broker.task({ name: "noop", run() {} });
  const other = broker.task({ name: "other", run() {} });
  using played = testBroker(broker, { now: NOON });
  const run = await noop.kiq();
  await other.kiq();
  await played.advance("1m");
  const typesOf = async (query?: Parameters<typeof broker.events>[0]) =>
    (await Array.fromAsync(broker.events(query))).map(({ type }) => type);
  assert.equal((await typesOf()).length, played.events.length);
  assert.deepEqual(await typesOf({ run: run.id }), ["run.enqueued", "run.started", "run.succeeded"]);
  assert.deepEqual(await typesOf({ task: "other", types: ["run.succeeded"], follow: true }), ["run.succeeded"]);
  assert.deepEqual(await typesOf({ from: "2026-01-01T12:00:30Z" }), []);
  assert.throws(() => broker.events({ from: "yesterday" }), { code: "invalid_option" });
  assert.throws(() => broker.events({ types: ["run.succeded" as "run.succeeded"] }), /Did you mean "run.succeeded"/);
});
