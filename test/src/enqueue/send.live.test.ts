import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import { z } from "zod";
import { createBroker } from "../../../src/broker.ts";
import { currentRun } from "../../../src/current-run.ts";
import { engineOf } from "../../../src/engine.ts";
import { processMiddleware } from "../../../src/middleware.ts";
import { toEntry } from "../../../streams/entry.ts";
import { laneKeys } from "../../../streams/keys.ts";
import { openWork, type TestWork } from "../../support/work.ts";

const input = z.object({ to: z.string(), copies: z.number().default(1) });

/** The entries of a queue, oldest first. */
async function entriesOf({ redis, namespace }: TestWork, queue = "default") {
  const found = await redis.xrange(laneKeys(namespace, queue).tasks, "-", "+");
  return found.map(([id, fields]) => ({ id, ...toEntry(fields) }));
}

test("a dispatch is an entry and an event, and both hold what the schema encodes", async () => {
  await using work = await openWork();
  const letter = work.broker.task({ name: "letter", input, run() {} });
  const before = Date.now();
  const run = await letter.kiq({ to: "Ada", secret: "x" } as { to: string });
  const [entry] = await entriesOf(work);
  const { id: _id, meta, ...rest } = entry as NonNullable<typeof entry>;
  assert.deepEqual(rest, {
    v: "1",
    run: run.id,
    task: "letter",
    attempt: 1,
    key: "",
    expires: 0,
    body: '{"to":"Ada","copies":1}',
  });
  const { enqueuedAt, ...others } = JSON.parse(meta);
  assert.deepEqual(others, {});
  assert.ok(Math.abs(enqueuedAt - before) < 2_000);
  const [event] = await work.ledger.events();
  assert.deepEqual(
    { type: event?.type, run: run.id, input: event?.type === "run.enqueued" && event.input },
    { type: "run.enqueued", run: run.id, input: { to: "Ada", copies: 1 } },
  );
  assert.equal(run.isNew, true);
});

test("dispatches of one tick are one call, whatever is said of each, and each is what it was", async () => {
  await using work = await openWork();
  const letter = work.broker.task({ name: "letter", input, run() {} });
  const bell = work.broker.task({ name: "bell", run() {} });
  await bell.kiq();
  const large = { to: "Ada ".repeat(2_000) };
  const runs = await Promise.all([
    letter.kiq({ to: "Ada" }),
    bell.kiq(),
    letter.kiq(large),
    letter.with({ labels: { tenant: "acme" } }).kiq({ to: "Bob" }),
    letter.with({ key: "k" }).kiq({ to: "Cy" }),
    letter.with({ delay: "1h" }).kiq({ to: "Di" }),
  ]);
  const events = (await work.ledger.events()).filter((event) => event.type === "run.enqueued").slice(1);
  const told = events.map((one) => [one.run, one.task, one.input, one.labels, one.key, one.dueAt !== undefined]);
  const of = (at: number) => (runs[at] as (typeof runs)[0]).id;
  assert.deepEqual(told, [
    [of(0), "letter", { to: "Ada", copies: 1 }, undefined, undefined, false],
    [of(1), "bell", undefined, undefined, undefined, false],
    [of(2), "letter", { ...large, copies: 1 }, undefined, undefined, false],
    [of(3), "letter", { to: "Bob", copies: 1 }, { tenant: "acme" }, undefined, false],
    [of(4), "letter", { to: "Cy", copies: 1 }, undefined, "k", false],
    [of(5), "letter", { to: "Di", copies: 1 }, undefined, undefined, true],
  ]);
  assert.equal(new Set(events.map(({ position = "" }) => position.slice(0, position.lastIndexOf("/")))).size, 1);
  const entries = (await entriesOf(work)).slice(1).map(({ run, task, key, body }) => [run, task, key !== "", body]);
  assert.deepEqual(entries.slice(0, 2), [
    [of(0), "letter", false, '{"to":"Ada","copies":1}'],
    [of(1), "bell", false, ""],
  ]);
  assert.deepEqual(
    entries.slice(3).map(([run]) => run),
    [of(3), of(4)],
  );
});

test("what is said about a dispatch travels with it", async () => {
  await using work = await openWork();
  const letter = work.broker.task({ name: "letter", version: 3, input, run() {} });
  const options = {
    expires: "1m",
    labels: { tenant: "acme" },
    timeout: "2s",
    retry: { attempts: 7, delay: "3s", backoff: "fixed" },
    key: "k1",
    keyTtl: "run",
  } as const;
  const run = await letter.with(options).kiq({ to: "Ada" });
  const [entry] = await entriesOf(work);
  const { enqueuedAt, ...meta } = JSON.parse(entry?.meta ?? "");
  assert.deepEqual(meta, {
    taskVersion: 3,
    labels: { tenant: "acme" },
    timeoutMs: 2_000,
    retry: { attempts: 7, delayMs: 3_000, backoff: "fixed" },
    keyUntil: 0,
  });
  assert.equal(entry?.expires, enqueuedAt + 60_000);
  assert.equal(entry?.key, work.keys.key("letter", "k1"));
  assert.equal(await work.redis.get(work.keys.key("letter", "k1")), run.id);
  const [event] = await work.ledger.events();
  assert.ok(event?.type === "run.enqueued");
  const { taskVersion, labels, key, expiresAt } = event;
  assert.deepEqual(
    { taskVersion, labels, key, expiresAt },
    { taskVersion: 3, labels: { tenant: "acme" }, key: "k1", expiresAt: enqueuedAt + 60_000 },
  );
});

test("a dispatch with a delay, or for an instant, is scheduled by Redis' clock", async () => {
  await using work = await openWork();
  const letter = work.broker.task({ name: "letter", input, run() {} });
  const at = new Date(Date.now() + 3_600_000);
  const first = await letter.with({ delay: "10m" }).kiq({ to: "Ada" });
  const second = await letter.with({ at }).kiq({ to: "Ada" });
  const past = await letter.with({ at: new Date(0) }).kiq({ to: "Ada" });
  const [seconds] = await work.redis.time();
  const dueAt = Number(await work.redis.zscore(work.keys.scheduled, first.id));
  assert.ok(Math.abs(dueAt - (Number(seconds) * 1_000 + 600_000)) < 3_000);
  assert.equal(Number(await work.redis.zscore(work.keys.scheduled, second.id)), at.getTime());
  assert.deepEqual(
    (await entriesOf(work)).map(({ run }) => run),
    [past.id],
  );
});

test("the same key gives the first run back, to another process as well", async () => {
  await using work = await openWork();
  const declare = (broker: typeof work.broker) => broker.task({ name: "letter", input, run() {} });
  const [one, other] = [declare(work.broker), declare(work.another())];
  const first = await one.with({ key: "once" }).kiq({ to: "Ada" });
  const second = await other.with({ key: "once", delay: "1h" }).kiq({ to: "Eve" });
  assert.deepEqual([second.id, second.isNew], [first.id, false]);
  const together = await Promise.all([1, 2, 3].map(() => one.with({ key: "twice" }).kiq({ to: "Ada" })));
  assert.equal(new Set(together.map(({ id }) => id)).size, 1);
  assert.equal(together.filter(({ isNew }) => isNew).length, 1);
  assert.equal((await entriesOf(work)).length, 2);
  assert.equal(await work.redis.pttl(work.keys.key("letter", "once")).then((ms) => ms > 29 * 86_400_000), true);
});

test("many are dispatched in order, in calls of at most 500, and each may have its key", async () => {
  await using work = await openWork();
  const letter = work.broker.task({ name: "letter", input, run() {} });
  const inputs = Array.from({ length: 1_201 }, (_, index) => ({ to: `n${index % 1_000}` }));
  const runs = await letter.kiqMany(inputs, { key: ({ to }) => to });
  assert.equal(runs.length, 1_201);
  assert.equal(runs.filter(({ isNew }) => isNew).length, 1_000);
  assert.equal(runs[1_000]?.id, runs[0]?.id);
  const entries = await entriesOf(work);
  assert.deepEqual(
    entries.map(({ run }) => run),
    runs.slice(0, 1_000).map(({ id }) => id),
  );
  assert.ok((await work.redis.xlen(work.keys.events)) <= 3);
  assert.deepEqual(await letter.kiqMany([]), []);
});

test("calls are cut by their bytes as well, and one that is too large alone goes alone", async () => {
  await using work = await openWork();
  const letter = work.broker.task({ name: "letter", input, run() {} });
  const text = () => randomBytes(60_000).toString("base64"); // which cannot be packed
  await Promise.all(Array.from({ length: 9 }, () => letter.kiq({ to: text() })));
  const batches = await work.redis.xrange(work.keys.events, "-", "+");
  const counts = batches.map(([, fields]) => Number(fields[3]));
  assert.equal(
    counts.reduce((sum, count) => sum + count),
    9,
  );
  assert.ok(
    counts.every((count) => count <= 3),
    `batches of ${counts.join(", ")}`,
  );
});

test("the dispatches of one tick are one call, or two when there are many, and stay in order", async () => {
  await using work = await openWork();
  const letter = work.broker.task({ name: "letter", input, run() {} });
  await letter.kiq({ to: "first" });
  const names: string[] = ["first"];
  for (const [count, entryCount] of [
    [150, 2],
    [300, 4],
  ] as const) {
    const more = Array.from({ length: count }, (_, index) => `${count}: ${index}`);
    await Promise.all(more.map((to) => letter.kiq({ to })));
    names.push(...more);
    assert.equal(await work.redis.xlen(work.keys.events), entryCount);
  }
  const bodies = (await entriesOf(work)).map(({ body }) => JSON.parse(body).to);
  assert.deepEqual(bodies, names);
});

test("a lone dispatch has its hooks around it, with what they say in its entry, and they hear how it ended", async (t) => {
  await using work = await openWork();
  const letter = work.broker.task({ name: "letter", input, run() {} });
  await letter.kiq({ to: "first" }); // opens the lane: what follows has nothing to wait for
  const traceparent = `00-${"a".repeat(32)}-${"b".repeat(16)}-00`;
  const told: unknown[] = [];
  processMiddleware().push({
    name: "telling",
    send: ({ task, queue, runs }) => ({
      carrier: { traceparent },
      enter(begin) {
        told.push([task, queue, runs.length]);
        begin();
      },
      end: (sent) => told.push("error" in sent ? (sent.error as { code?: unknown }).code : "sent"),
    }),
  });
  processMiddleware().push({ name: "forgetful", send: () => ({ enter() {} }) });
  t.after(() => processMiddleware().splice(0));
  await letter.kiq({ to: "Ada" });
  assert.deepEqual(told.splice(0), [["letter", "default", 1], "sent"]);
  const entries = await entriesOf(work);
  assert.equal(entries.length, 2);
  assert.equal(JSON.parse(entries[1]?.meta ?? "{}").traceparent, traceparent);
  await work.redis.del(work.keys.tasks);
  await work.redis.set(work.keys.tasks, "no stream");
  await assert.rejects(letter.kiq({ to: "nobody" }), { code: "enqueue_failed" });
  assert.deepEqual(told, [["letter", "default", 1], "enqueue_failed"]);
});

test("of dispatches that go in one call, a hook around what is sent is entered by the first alone, and any other by each", async (t) => {
  await using work = await openWork();
  const letter = work.broker.task({ name: "letter", input, run() {} });
  await letter.kiq({ to: "first" });
  let entered = 0;
  const enter = (begin: () => void) => {
    entered += 1;
    begin();
  };
  t.after(() => processMiddleware().splice(0));
  for (const [isForCall, expected] of [
    [true, 1],
    [false, 10],
  ] as const) {
    processMiddleware().splice(0, 1, { name: "around", send: () => ({ enter, isForCall }) });
    entered = 0;
    await Promise.all(Array.from({ length: 10 }, () => letter.kiq({ to: "Ada" })));
    assert.equal(entered, expected);
  }
});

test("a bad input is refused before anything is sent, and costs nobody else anything", async () => {
  await using work = await openWork();
  const letter = work.broker.task({ name: "letter", input, run() {} });
  const [good, bad] = await Promise.allSettled([letter.kiq({ to: "Ada" }), letter.kiq({ to: 5 } as never)]);
  assert.equal(good.status, "fulfilled");
  assert.equal(bad.status === "rejected" && bad.reason.code, "invalid_input");
  await assert.rejects(letter.kiqMany([{ to: "a" }, { to: null } as never]), { code: "invalid_input" });
  await assert.rejects(letter.with({ key: "" }).kiq({ to: "a" }), { code: "invalid_option" });
  await assert.rejects(letter.with({ dealy: "5m" } as never).kiq({ to: "a" }), /Did you mean "delay"\?/);
  assert.equal((await entriesOf(work)).length, 1);
});

test("an input that is changed while it waits is sent as it was given", async () => {
  await using work = await openWork();
  const letter = work.broker.task({ name: "letter", input: z.object({ tags: z.any() }), run() {} });
  const given = { tags: { colour: "red" } };
  const sending = letter.kiq(given);
  given.tags.colour = "blue";
  await sending;
  const [event] = await work.ledger.events();
  assert.deepEqual(event?.type === "run.enqueued" && event.input, { tags: { colour: "red" } });
  assert.equal((await entriesOf(work))[0]?.body, '{"tags":{"colour":"red"}}');
});

test("an asynchronous schema is waited for", async () => {
  await using work = await openWork();
  const slow = z.object({ to: z.string().refine(async (name) => name !== "Eve", "not her") });
  const letter = work.broker.task({ name: "letter", input: slow, run() {} });
  await letter.kiq({ to: "Ada" });
  await assert.rejects(letter.kiq({ to: "Eve" }), /input\.to: not her/);
});

test("what a handler dispatches has its run as parent, and the first of the chain as root", async () => {
  await using work = await openWork();
  const child = work.broker.task({ name: "child", run() {} });
  const carrier = { traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01" };
  await child.kiq();
  await currentRun.run({ run: "p", root: "r", carrier, context: undefined }, () => child.kiq());
  const metas = (await entriesOf(work)).map(({ meta }) => JSON.parse(meta));
  assert.deepEqual(
    metas.map(({ parent, root }) => [parent, root]),
    [
      [undefined, undefined],
      ["p", "r"],
    ],
  );
});

test("a run can be sent to another queue, and both queues are on the list", async () => {
  await using work = await openWork();
  const letter = work.broker.task({ name: "letter", input, run() {} });
  await letter.kiq({ to: "Ada" });
  const run = await letter.with({ queue: "slow" }).kiq({ to: "Ada" });
  assert.deepEqual(
    (await entriesOf(work, "slow")).map((entry) => entry.run),
    [run.id],
  );
  assert.equal(await run.status(), "waiting");
  assert.equal(await letter.handle(run.id).status(), "waiting");
  const { listQueues } = await import("../../../streams/lane.ts");
  assert.deepEqual(await listQueues(work.redis, work.namespace), ["default", "slow"]);
});

test("a broker whose idea of Redis' clock is wrong learns better, and dispatches nothing twice", async () => {
  await using work = await openWork();
  const letter = work.broker.task({ name: "letter", input, run() {} });
  await letter.kiq({ to: "first" });
  const { clock } = await engineOf(work.broker).lane("default");
  const now = performance.now();
  clock.learn(Date.now() - 3_600_000, now, now);
  await Promise.all([letter.kiq({ to: "second" }), letter.kiqMany([{ to: "third" }, { to: "fourth" }])]);
  assert.equal((await entriesOf(work)).length, 4);
  assert.ok(Math.abs(clock.now() - Date.now()) < 1_000);
});

test("without REDIS_URL a dispatch says what is missing, and works once it is there", async () => {
  await using work = await openWork();
  const { REDIS_URL: before } = process.env;
  delete process.env.REDIS_URL;
  const broker = createBroker({ namespace: work.namespace });
  const letter = broker.task({ name: "letter", input, run() {} });
  await assert.rejects(letter.kiq({ to: "Ada" }), { code: "invalid_option", message: /set REDIS_URL/ });
  process.env.REDIS_URL = work.url;
  await letter.kiq({ to: "Ada" });
  await broker.close();
  if (before === undefined) delete process.env.REDIS_URL;
  else process.env.REDIS_URL = before;
});
