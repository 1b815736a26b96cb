import assert from "node:assert/strict";
import { test } from "node:test";
import { z } from "zod";
import { ensureLane } from "../../streams/lane.ts";
import { entryFields } from "../support/entry.ts";
import { openWork } from "../support/work.ts";

test("entries that nobody of us wrote die with their reason, and the queue goes on", async () => {
  await using work = await openWork();
  const fine = work.broker.task({ name: "fine", input: z.object({ n: z.number() }), run() {} });
  const run = "01890f5e-0000-7000-8000-000000000001";
  const meta = JSON.stringify({ enqueuedAt: 1 });
  const whole = { task: "fine", meta, body: '{"n":1}' };
  const odd: Parameters<typeof entryFields>[1][] = [
    { run: "no-id" },
    { v: "one" },
    { meta: "{" },
    { meta: "null" },
    { attempt: -1 },
    { attempt: 4e12 },
    { expires: "soon" },
    { task: "" },
    { body: "{not json" },
    { body: "\u0000\ud800" },
    { meta: JSON.stringify({ enqueuedAt: 1, retry: 5 }) },
    { key: "\n\u0000", meta: "[]" },
  ];
  const runOf = (index: number) => `${run.slice(0, -2)}${index.toString(16).padStart(2, "0")}`;
  const strange = odd.map((over, index) => entryFields(runOf(index), { ...whole, ...over }));
  strange.push(["hello", "world"], ["e", "1\0cut\0short"]);
  await ensureLane(work.redis, work.namespace, "default");
  for (const fields of strange) await work.redis.xadd(work.keys.tasks, "*", ...fields);
  work.work();
  const good = await fine.kiq({ n: 1 });
  await work.ledger.ended([good.id]);
  const died = await work.ledger.waitFor((events) => {
    const all = events.filter((event) => event.type === "run.died");
    return all.length >= strange.length && all;
  });
  assert.equal(died.length, strange.length);
  for (const event of died)
    assert.ok(event.type === "run.died" && event.reason === "undecodable", JSON.stringify(event));
  assert.equal(new Set(died.map((event) => (event as { run: string }).run)).size, strange.length);
  assert.equal(await work.redis.xlen(work.keys.tasks), 0);
  const kept = (await work.redis.xrange(work.keys.dead, "-", "+")).map(([, fields]) => fields);
  assert.equal(kept.length, strange.length);
  for (const fields of [
    ["hello", "world"],
    ["e", "1\0cut\0short"],
  ])
    assert.ok(
      kept.some((dead) => dead[dead.indexOf("body") + 1] === JSON.stringify(fields)),
      `${fields[0]} is kept as it came`,
    );
  // These have no beginning: only that they end once can be asked of them.
  work.ledger.assertLegal = async () => {};
});

test("an input that does not fit its schema dies at once", async () => {
  await using work = await openWork();
  work.broker.task({ name: "strict", input: z.object({ n: z.number() }), run() {} });
  const loose = work.another();
  const sender = loose.task({ name: "strict", input: z.object({ n: z.string() }), run() {} });
  work.work();
  const run = await sender.kiq({ n: "one" });
  const [died] = await work.ledger.ended([run.id]);
  assert.ok(died?.type === "run.died");
  assert.equal(died.reason, "invalid_input");
  assert.match(died.error?.message ?? "", /input\.n/);
});

test("a run of an unknown task waits for a worker that knows it, and uses no attempt", async () => {
  await using work = await openWork();
  work.broker.task({ name: "known", run() {} });
  const newer = work.another();
  const fresh = newer.task({ name: "fresh", run() {} });
  work.work();
  const run = await fresh.kiq();
  await work.ledger.waitFor((events) => events.find((event) => event.type === "run.deferred"));
  work.work({}, newer);
  const [ending] = await work.ledger.ended([run.id]);
  assert.ok(ending?.type === "run.succeeded");
  assert.equal(ending.attempt, 1);
});

test("a run of an unknown task dies once it has waited long enough", async () => {
  await using work = await openWork();
  work.broker.task({ name: "known", run() {} });
  const fresh = work.another().task({ name: "fresh", run() {} });
  work.work({ unknownTaskGrace: "500ms" });
  const run = await fresh.kiq();
  const [ending] = await work.ledger.ended([run.id]);
  assert.ok(ending?.type === "run.died");
  assert.equal(ending.reason, "unknown_task");
});

test("a run that has waited since the future, as a stranger says, dies all the same", async () => {
  await using work = await openWork();
  work.broker.task({ name: "known", run() {} });
  const run = "01890f5e-0000-7000-8000-000000000009";
  const meta = JSON.stringify({ enqueuedAt: 1, unknownSince: 1e300 });
  await ensureLane(work.redis, work.namespace, "default");
  await work.redis.xadd(work.keys.tasks, "*", ...entryFields(run, { task: "fresh", meta }));
  work.work({ unknownTaskGrace: "300ms" });
  const [ending] = await work.ledger.ended([run]);
  assert.ok(ending?.type === "run.died" && ending.reason === "unknown_task");
  work.ledger.assertLegal = async () => {}; // it has no beginning
});

test("a run of a newer version of its task is left to newer workers", async () => {
  await using work = await openWork();
  const served: number[] = [];
  work.broker.task({ name: "versioned", run: () => void served.push(1) });
  const newer = work.another();
  const second = newer.task({ name: "versioned", version: 2, run: () => void served.push(2) });
  work.work();
  const run = await second.kiq();
  const deferred = await work.ledger.waitFor((events) => events.find((event) => event.type === "run.deferred"));
  assert.ok(deferred.type === "run.deferred" && deferred.reason === "newer_version");
  work.work({}, newer);
  await work.ledger.ended([run.id]);
  assert.deepEqual(served, [2]);
});

test("a run that has waited past its expiry dies as expired", async () => {
  await using work = await openWork();
  const brief = work.broker.task({ name: "brief", run() {} });
  const run = await brief.with({ expires: "20ms" }).kiq();
  await new Promise((resolve) => setTimeout(resolve, 60)); // it is about time itself
  work.work();
  const [ending] = await work.ledger.ended([run.id]);
  assert.ok(ending?.type === "run.died" && ending.reason === "expired");
});
