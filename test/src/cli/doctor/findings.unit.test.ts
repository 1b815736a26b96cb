import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { verdict } from "../../../../src/cli/doctor/clocks.ts";
import { COMMANDS } from "../../../../src/cli/doctor/rights.ts";
import { checkSettings, VARIABLES } from "../../../../src/cli/doctor/settings.ts";
import { checkStreams } from "../../../../src/cli/doctor/streams.ts";
import type { LaneState } from "../../../../src/cli/lane-state.ts";

const root = fileURLToPath(new URL("../../../../", import.meta.url));
const sources = (pattern: string) => globSync(pattern, { cwd: root }).map((file) => readFileSync(root + file, "utf8"));

test("every variable of ours that is read is known to the doctor", () => {
  const read = sources("{src,streams,sql,otel,projections}/**/*.{ts,mjs}").flatMap(
    (text) => text.match(/TASKTRAIL_[A-Z_]*[A-Z]/g) ?? [],
  );
  const inMessages = ["TASKTRAIL_"];
  assert.deepEqual(
    [...new Set(read)].filter((name) => !VARIABLES.includes(name) && !inMessages.includes(name)),
    [],
  );
});

test("every command of the scripts is among those whose rights are examined", () => {
  const sent = sources("streams/scripts/*.lua").flatMap((text) =>
    [...text.matchAll(/redis\.p?call\('([A-Z]+)'/g)].map(([, name]) => name),
  );
  const examined = new Set(COMMANDS.map(([name]) => name));
  assert.deepEqual(
    [...new Set(sent)].filter((name) => !examined.has(name as string)),
    [],
  );
});

test("a misspelt variable is told with the one that was meant", () => {
  const [finding, ...more] = checkSettings({ TASKTRAIL_CONCURENCY: "5", TASKTRAIL_QUEUES: "a" });
  assert.equal(finding?.level, "warn");
  assert.match(`${finding?.what} ${finding?.advice}`, /TASKTRAIL_CONCURENCY.*Did you mean TASKTRAIL_CONCURRENCY/);
  assert.deepEqual(more, []);
  assert.equal(checkSettings({ TASKTRAIL_QUEUES: "a" })[0]?.level, "ok");
});

test("clocks that are apart are told, the more the worse", () => {
  assert.equal(verdict("Redis", 20).level, "ok");
  assert.match(verdict("Redis", -5_000).what, /5s behind/);
  assert.equal(verdict("Redis", 5_000).level, "warn");
  assert.equal(verdict("Redis", 120_000).level, "fail");
});

const lane: LaneState = {
  queue: "mail",
  waiting: 0,
  running: 0,
  scheduled: 0,
  nextDueAt: undefined,
  dead: 0,
  cancelRequests: 0,
  isPaused: false,
  isFull: false,
  oldestWaitingAt: undefined,
  workers: [],
  ledger: { entries: 1, bytes: 100, lastId: "5000000-1" },
  bytes: 100,
  hasGroups: true,
  format: 1,
  incarnation: "i",
  nowMs: 5_000_000,
};
const alive = [{ worker: "w", holds: 1, leaseLeftMs: 10_000 }];
const checkpoint = { lane: "ns:mail", projection: "ledger", incarnation: "i", ms: 5_000_000, seq: 1, token: "t" };
const told = (change: Partial<LaneState>, checkpoints?: object[]) =>
  checkStreams([{ ...lane, ...change }], checkpoints as never)
    .filter(({ level }) => level !== "ok")
    .map(({ level, what }) => `${level} ${what}`);

const expected: [string, Partial<LaneState>, object[] | undefined, RegExp][] = [
  ["a newer format", { format: 9 }, undefined, /fail .*format 9/],
  [
    "waiting without a worker",
    { waiting: 2, oldestWaitingAt: 4_999_000 },
    undefined,
    /fail .*2 runs wait, the oldest for 1s, and no worker/,
  ],
  ["waiting for long", { waiting: 1, oldestWaitingAt: 1_000_000, workers: alive }, undefined, /warn .*oldest for 67m/],
  [
    "entries without a lease",
    { workers: [{ worker: "gone", holds: 3, leaseLeftMs: undefined }] },
    undefined,
    /fail .*3 entries .*gone/,
  ],
  [
    "a lapsed worker beside a live one",
    { workers: [...alive, { worker: "gone", holds: 1, leaseLeftMs: -5 }] },
    undefined,
    /warn .*1 entry .*gone/,
  ],
  ["a full ledger", { isFull: true }, undefined, /fail .*takes no dispatches/],
  ["a pause", { isPaused: true }, undefined, /warn .*paused/],
  ["dead runs", { dead: 1 }, undefined, /warn .*1 run died/],
  [
    "a queue that nobody has read",
    { hasGroups: false, waiting: 1 },
    undefined,
    /warn .*no worker has read it yet, and 1 run wait/,
  ],
  ["a ledger that nobody projects", {}, [], /warn .*no projector has read/],
  ["a projector that is behind", {}, [{ ...checkpoint, ms: 4_900_000 }], /warn .*100s behind|warn .*2m behind/],
  ["a projector that is far behind", {}, [{ ...checkpoint, ms: 1_000_000 }], /fail .*67m behind/],
  ["a ledger in another life", {}, [{ ...checkpoint, incarnation: "other" }], /fail .*another life/],
];

for (const [what, change, checkpoints, pattern] of expected) {
  test(`the doctor tells of ${what}`, () => assert.match(told(change, checkpoints).join("\n"), pattern));
}

test("a healthy lane has nothing to tell", () => {
  assert.deepEqual(told({ workers: alive, waiting: 1, oldestWaitingAt: 4_999_000 }, [checkpoint]), []);
  assert.deepEqual(told({}, undefined), []);
});
