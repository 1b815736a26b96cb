import assert from "node:assert/strict";
import { test } from "node:test";
import { z } from "zod";
import { ensureLane } from "../../streams/lane.ts";
import { openWork, type TestWork } from "../support/work.ts";

async function put(work: TestWork, fields: Record<string, string>): Promise<string> {
  await ensureLane(work.redis, work.namespace, "default");
  return (await work.redis.xadd(work.keys.tasks, "*", ...Object.entries(fields).flat())) as string;
}

test("entries that nobody of us wrote die with their reason, and the queue goes on", async () => {
  await using work = await openWork();
  const fine = work.broker.task({ name: "fine", input: z.object({ n: z.number() }), run() {} });
  const run = "01890f5e-0000-7000-8000-000000000001";
  const meta = JSON.stringify({ enqueuedAt: 1 });
  const whole = { v: "1", run, task: "fine", attempt: "1", key: "", expires: "0", meta, body: '{"n":1}' };
  const strange: Record<string, string>[] = [
    { hello: "world" },
    { ...whole, run: "no-id" },
    { ...whole, run: run.replace("0001", "0002"), v: "one" },
    { ...whole, run: run.replace("0001", "0003"), meta: "{" },
    { ...whole, run: run.replace("0001", "0004"), meta: "null" },
    { ...whole, run: run.replace("0001", "0005"), attempt: "-1" },
    { ...whole, run: run.replace("0001", "0006"), expires: "soon" },
    { ...whole, run: run.replace("0001", "0007"), task: "" },
    { ...whole, run: run.replace("0001", "0008"), body: "{not json" },
    { ...whole, run: run.replace("0001", "0009"), body: "\u0000\ud800" },
    { ...whole, run: run.replace("0001", "000a"), meta: JSON.stringify({ enqueuedAt: 1, retry: 5 }) },
    { ...whole, run: run.replace("0001", "000b"), key: "\n\u0000", meta: "[]" },
  ];
  for (const fields of strange) await put(work, fields);
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
  assert.equal(await work.redis.xlen(work.keys.dead), strange.length);
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
