import assert from "node:assert/strict";
import { test } from "node:test";
import { createBroker, defineProjection } from "tasktrail";
import { foldOf, testBroker } from "tasktrail/testing";
import { z } from "zod";
import { attempts } from "../examples/projections/attempts.ts";
import { failures } from "../examples/projections/failures.ts";
import { throughput } from "../examples/projections/throughput.ts";

const run = "01890000-0000-7abc-8000-000000000001";
const of = { run, task: "charge", attempt: 1, delivery: 1, worker: "w1" };
const error = { type: "Error", message: "declined", fingerprint: "f1" };

test("given events, then rows: failures that are alike are one row", () => {
  const rows = foldOf(failures, [
    { type: "run.failed", ...of, error, durationMs: 3 },
    { type: "run.succeeded", ...of, durationMs: 3 },
    { type: "run.died", ...of, reason: "attempts", error: { ...error, message: "declined again" } },
    { type: "run.died", ...of, reason: "expired" },
  ]);
  assert.equal(rows.size, 1);
  assert.deepEqual(
    [
      rows.get("f1")?.count,
      rows.get("f1")?.lastMessage,
      (rows.get("f1")?.lastAt ?? 0) - (rows.get("f1")?.firstAt ?? 0),
    ],
    [2, "declined again", 2_000],
  );
});

test("an attempt that is lost with its worker is a row of its own", () => {
  const rows = foldOf(attempts, [
    { type: "run.started", ...of },
    { type: "run.redelivered", ...of, delivery: 2, from: "w1", to: "w2" },
    { type: "run.started", ...of, delivery: 2, worker: "w2" },
    { type: "run.failed", ...of, delivery: 2, worker: "w2", error, durationMs: 5 },
  ]);
  assert.deepEqual(
    Array.from(rows.values(), ({ attempt, delivery, worker, outcome }) => [attempt, delivery, worker, outcome]),
    [
      [1, 1, "w1", "lost"],
      [1, 2, "w2", "failed"],
    ],
  );
});

test("throughput is counted by task and minute", () => {
  const rows = foldOf(throughput, [
    { type: "run.started", ...of, at: 60_000, waitedMs: 7 },
    { type: "run.succeeded", ...of, at: 119_999, durationMs: 5 },
    { type: "run.failed", ...of, at: 120_000, error, durationMs: 9 },
  ]);
  assert.deepEqual(
    Array.from(rows.values(), ({ minute, succeeded, failed, waitedMsSum, durationMsMax }) => [
      minute.getTime(),
      succeeded,
      failed,
      waitedMsSum,
      durationMsMax,
    ]),
    [
      [60_000, 1, 0, 7, 5],
      [120_000, 0, 1, 0, 9],
    ],
  );
});

test("the events of a test broker can be folded as they are", async () => {
  const broker = createBroker();
  const task = broker.task({ name: "task", run() {} });
  using played = testBroker(broker);
  await task.kiq();
  await played.drain();
  assert.deepEqual(
    Array.from(foldOf(attempts, played.events).values(), ({ outcome }) => outcome),
    ["succeeded"],
  );
});

let clock = 0;
const next = () => {
  clock += 1;
  return clock;
};
const table = {
  row: z.object({ run: z.string(), n: z.int() }),
  ddl: "create table bad (run text primary key, n integer)",
};
const base = {
  name: "bad",
  version: 1,
  table,
  events: ["run.started"],
  key: (event: { run: string }) => event.run,
} as const;
const started = [1, 2, 3].map(() => ({ type: "run.started", ...of }) as const);

test("a fold that looks at the clock, keeps a state, or changes its row is found out", () => {
  const impure = defineProjection({ ...base, fold: (_row, event) => ({ run: event.run, n: next() }) });
  assert.throws(() => foldOf(impure, started), /projection "bad": a second pass gave another row/);
  const seen = new WeakSet<object>();
  const byIdentity = defineProjection({
    ...base,
    fold(row, event) {
      const made = { run: event.run, n: (row?.n ?? 0) + (row !== undefined && seen.has(row) ? 1 : 100) };
      seen.add(made);
      return made;
    },
  });
  assert.throws(() => foldOf(byIdentity, started), /projection "bad": batches of 1 gave another row/);
  const changing = defineProjection({
    ...base,
    fold(row, event) {
      if (row === undefined) return { run: event.run, n: 1 };
      (row as { n: number }).n += 1;
      return row;
    },
  });
  assert.throws(() => foldOf(changing, started), /fold changes the row that it was given/);
  const unfit = defineProjection({ ...base, fold: (_row, event) => ({ run: event.run, n: 1.5 }) });
  assert.throws(() => foldOf(unfit, started), /does not fit its schema: n: /);
});

test("a projection that cannot be one is refused where it is declared", () => {
  const fold = (_row: unknown, event: { run: string }) => ({ run: event.run, n: 1 });
  assert.throws(
    () => defineProjection({ ...base, name: "Bad Name", fold }),
    /name: "Bad Name" cannot be a projection's name/,
  );
  assert.throws(() => defineProjection({ ...base, version: 0, fold }), { code: "invalid_option" });
  assert.throws(
    () => defineProjection({ ...base, events: ["run.startd" as "run.started"], fold }),
    /Did you mean "run.started"/,
  );
  assert.throws(
    () => createBroker().project({ name: "x", version: 1 }),
    /is no projection: pass what defineProjection\(\) returned/,
  );
});
