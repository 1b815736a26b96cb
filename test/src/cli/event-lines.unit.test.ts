import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { eventLine } from "../../../src/cli/event-lines.ts";
import { eventWords } from "../../../src/cli/event-words.ts";
import { widthOf } from "../../../src/cli/text.ts";
import { anyText } from "../../support/texts.ts";

const run = "01a20722-a4d2-7505-aeb9-c2a4f8bd9076";
const at = Date.UTC(2031, 4, 4, 12, 0, 0, 140);
const plain = (columns: number | undefined) => ({ columns, style: (_style: unknown, text: string) => text });

test("the facts of an event are told in few words", () => {
  const error = { type: "TypeError", message: "no\nsuch thing" };
  const told: [object, string][] = [
    [{ type: "run.started", attempt: 2, waitedMs: 1_500 }, "attempt 2, waited 1.5s"],
    [
      { type: "run.failed", attempt: 1, at, error, durationMs: 12, retryAt: at + 4_000 },
      "TypeError: no such thing, took 12ms, again in 4s",
    ],
    [{ type: "run.died", reason: "poison", attempt: 1 }, "poison"],
    [{ type: "run.skipped", reason: "overlap", holder: "r" }, "overlap, held by r"],
    [{ type: "run.progressed", done: 50, total: 200, note: "half" }, "50 of 200 (25%), half"],
    [{ type: "run.redelivered", from: "a", to: "b" }, "from a, to b"],
    [{ type: "run.enqueued", at, dueAt: at + 600_000, key: "k" }, "due in 10m, key k"],
    [{ type: "ledger.malformed", why: "not JSON", queue: "q" }, "why not JSON"],
    [{ type: "of.later.versions", run, size: 3, more: { a: 1 } }, 'size 3, more {"a":1}'],
  ];
  for (const [event, words] of told) assert.equal(eventWords(event as never), words);
});

test("a line has when, what, of which task and run, and the facts", () => {
  const event = { type: "run.succeeded", task: "send", run, at, durationMs: 7 };
  assert.match(
    eventLine(event, plain(undefined), { isLive: true }),
    new RegExp(`^\\d\\d:\\d\\d:00\\.140  run\\.succeeded +send +${run}  took 7ms$`),
  );
  assert.match(eventLine(event, plain(100), { isLive: true }), /run\.succeeded +send +…f8bd9076 {2}took 7ms$/);
  assert.match(eventLine(event, plain(100), { isLive: true, isOneRun: true }), /run\.succeeded +took 7ms$/);
});

test("a line fits the terminal whatever the event holds, once there is room for its head", () => {
  const event = fc.record({
    type: fc.constant("run.died"),
    task: fc.string(),
    run: fc.constant(run),
    at: fc.constant(at),
    reason: anyText(),
  });
  fc.assert(
    fc.property(event, fc.integer({ min: 64, max: 200 }), fc.boolean(), (one, columns, isLive) => {
      assert.ok(widthOf(eventLine(one, plain(columns), { isLive })) <= columns);
    }),
  );
});
