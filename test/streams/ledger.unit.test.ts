import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { eventSchemas, parseEvent } from "../../streams/event-schemas.ts";
import { EVENT_VERSION, type EventDraft } from "../../streams/events.ts";
import { createRunIds } from "../../streams/ids.ts";
import {
  batchToken,
  compareIds,
  decodeEntry,
  encodeEvents,
  encodeHeader,
  isLedgerEvent,
  sharedBy,
  splitId,
  toLedgerEntry,
} from "../../streams/ledger.ts";
import { idsOfAttempt, idsOfDispatch } from "../../streams/trace-ids.ts";
import { lift } from "../../streams/upcasters.ts";

const place = { queue: "q", incarnation: "i" };
const writer = { incarnation: "w", call: 3, clockOffsetMs: 0 };
const entry = (events: string, header = encodeHeader(writer, { queue: "q", at: 7 })) => ({
  id: "5-1",
  header,
  count: 1,
  events,
});

describe("a batch", () => {
  test("comes back as it was written, each event with its position and what the header says for all", () => {
    const run = { run: "r", task: "t" };
    const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    const events = encodeEvents([
      { type: "run.enqueued", ...run, input: { a: [1, "ü\u2028"] }, traceparent },
      { type: "run.due", ...run, at: 9 },
    ]);
    assert.deepEqual(decodeEntry(entry(events), place), [
      {
        type: "run.enqueued",
        ...run,
        input: { a: [1, "ü\u2028"] },
        v: EVENT_VERSION,
        queue: "q",
        at: 7,
        traceparent,
        traceId: "0af7651916cd43dd8448eb211c80319c",
        position: "q/i/5-1/0",
      },
      { type: "run.due", ...run, v: EVENT_VERSION, queue: "q", at: 9, position: "q/i/5-1/1" },
    ]);
    for (const event of decodeEntry(entry(events), place)) {
      assert.ok(isLedgerEvent(event));
      assert.doesNotThrow(() => parseEvent(event));
    }
  });

  test("has the trace contexts in full that were written as what they follow from", () => {
    const run = createRunIds("q")(0);
    const events = encodeEvents([
      { type: "run.enqueued", run, task: "t", traceparent: "0" },
      { type: "run.started", run, task: "t", attempt: 2, delivery: 1, worker: "w", traceparent: "1" },
    ]);
    const [dispatch, attempt] = [idsOfDispatch(run), idsOfAttempt({ run, attempt: 2, delivery: 1 })];
    assert.deepEqual(
      decodeEntry(entry(events), place).map((event) => ({
        traceparent: "traceparent" in event ? event.traceparent : undefined,
        traceId: "traceId" in event ? event.traceId : undefined,
      })),
      [dispatch, attempt].map(({ traceId, spanId }) => ({ traceparent: `00-${traceId}-${spanId}-00`, traceId })),
    );
  });

  test("that tells no time has that of its entry, and its own lane when it tells none", () => {
    const [event] = decodeEntry(
      entry('[{"type":"run.due","run":"r","task":"t"}]', '{"f":1,"p":"a","c":1,"d":{"v":1}}'),
      place,
    );
    assert.deepEqual([event?.at, (event as { queue?: string }).queue], [5, "q"]);
  });

  test("has a token made of its writer and call, which tells it from every other", () => {
    assert.equal(batchToken(encodeHeader(writer, { queue: "q", at: 1 })), "w/3");
    assert.equal(batchToken(encodeHeader({ ...writer, call: -1 }, { queue: "q" })), "w/-1");
    assert.equal(batchToken("{"), "malformed");
    assert.match(batchToken("{}"), /undefined/);
  });

  test("is read the same whether its header tells what its events agree in, or each event itself", () => {
    const some = (texts: readonly string[]) => fc.option(fc.constantFrom(...texts), { nil: undefined });
    const whole = fc.option(fc.constantFrom(1, 2), { nil: undefined });
    const event = fc.record(
      {
        type: fc.constantFrom("run.due", "run.x"),
        run: fc.string(),
        task: some(["t", "u"]),
        attempt: whole,
        delivery: whole,
      },
      { requiredKeys: ["type", "run"], noNullPrototype: true },
    );
    fc.assert(
      fc.property(fc.array(event, { maxLength: 4 }), fc.boolean(), (made, isAlike) => {
        const events = (isAlike ? made.map((one) => ({ ...made[0], run: one.run })) : made) as EventDraft[];
        const shared = sharedBy(events, ["type", "task", "attempt", "delivery"]);
        const header = encodeHeader(writer, { queue: "q", at: 7, ...shared });
        assert.deepEqual(
          decodeEntry(entry(encodeEvents(events, shared), header), place),
          decodeEntry(entry(encodeEvents(events)), place),
        );
      }),
    );
  });

  test("tells in its header what all events have and agree in, and leaves it out of them", () => {
    const due = { type: "run.due", run: "r", task: "t", attempt: 1 } as const;
    const alike = [due, { ...due, run: "s" }];
    assert.deepEqual(sharedBy(alike, ["type", "task", "attempt", "delivery"]), {
      type: "run.due",
      task: "t",
      attempt: 1,
    });
    assert.deepEqual(sharedBy(alike, ["task"]), { task: "t" });
    assert.deepEqual(sharedBy([], ["type"]), {});
    const { attempt: _, ...other } = due;
    assert.deepEqual(sharedBy([due, other], ["type", "attempt"]), { type: "run.due" });
    assert.deepEqual(sharedBy([other, due], ["type", "attempt"]), { type: "run.due" });
    assert.equal(
      encodeEvents(alike, { type: "run.due", task: "t" }),
      '[{"run":"r","attempt":1},{"run":"s","attempt":1}]',
    );
  });

  test("says how far the writer's clock was off, if it was", () => {
    assert.equal(JSON.parse(encodeHeader(writer, { queue: "q", at: 1 })).o, undefined);
    assert.equal(JSON.parse(encodeHeader({ ...writer, clockOffsetMs: -40 }, { queue: "q", at: 1 })).o, -40);
  });
});

describe("what cannot be read", () => {
  test("becomes one event that says so, in place of the batch", () => {
    for (const [events, header] of [
      ["[", undefined],
      ["{}", undefined],
      ["[]]", undefined],
      ["[]", "null"],
      ["[]", "{}"],
      ["[]", '{"f":2}'],
      ["[]", ""],
    ] as const) {
      const decoded = decodeEntry(entry(events, header), place);
      assert.deepEqual(
        decoded.map(({ type, position }) => [type, position]),
        [["ledger.malformed", "q/i/5-1/0"]],
      );
    }
  });

  test("among events that can, takes its own place only", () => {
    const decoded = decodeEntry(entry('[5,{"type":"run.due","run":"r","task":"t"},null,{"type":7},"x",[]]'), place);
    const bad = "ledger.malformed";
    assert.deepEqual(
      decoded.map(({ type }) => type),
      [bad, "run.due", bad, bad, bad, bad],
    );
    assert.deepEqual(
      decoded.map(({ position }) => position?.at(-1)),
      ["0", "1", "2", "3", "4", "5"],
    );
  });

  test("takes no type from its header: only an event that is one does", () => {
    const header = encodeHeader(writer, { queue: "q", at: 7, type: "run.due", task: "t" });
    const decoded = decodeEntry(entry('[5,{"run":"r"},null,{"type":7},"x",[],{"type":"run.x"}]', header), place);
    const bad = "ledger.malformed";
    assert.deepEqual(
      decoded.map(({ type }) => type),
      [bad, "run.due", bad, bad, bad, bad, "run.x"],
    );
  });

  test("an event of a type that is not known is handed on as it is", () => {
    const [event] = decodeEntry(entry('[{"type":"run.teleported","v":9,"run":"r","where":{"x":1}}]'), place);
    assert.deepEqual(event, {
      type: "run.teleported",
      v: 9,
      run: "r",
      where: { x: 1 },
      queue: "q",
      at: 7,
      position: "q/i/5-1/0",
    });
    assert.equal(isLedgerEvent(event as never), false);
  });

  test("never throws, whatever stands in the entry", () => {
    const text = fc.oneof(fc.string(), fc.json(), fc.constantFrom("[]", "{}", "null", "[null]", '{"f":1}'));
    const events = fc.array(
      fc.oneof(
        fc.anything(),
        fc.record({ type: fc.oneof(fc.string(), fc.constantFrom(...Object.keys(eventSchemas))) }),
      ),
    );
    const header = fc.record({ f: fc.constant(1), p: fc.anything(), c: fc.anything(), d: fc.anything() });
    const written = (value: fc.Arbitrary<unknown>) =>
      value.map((one) => JSON.stringify(one, (_, v) => (typeof v === "bigint" ? "n" : v)) ?? "");
    fc.assert(
      fc.property(fc.string(), fc.oneof(text, written(header)), fc.oneof(text, written(events)), (id, head, body) => {
        const decoded = decodeEntry({ id, header: head, count: Number.NaN, events: body }, place);
        for (const event of decoded) {
          assert.equal(typeof event.type, "string");
          assert.equal(typeof event.position, "string");
        }
        batchToken(head);
      }),
      { numRuns: 1_000 },
    );
  });

  test("of an entry of strangers, fields that are missing are empty", () => {
    assert.deepEqual(toLedgerEntry(["1-1", null]), { id: "1-1", header: "", count: 0, events: "" });
    assert.deepEqual(toLedgerEntry(["1-1", ["events", "[]", "x"]]), { id: "1-1", header: "", count: 0, events: "[]" });
  });
});

test("an event of a version that has no upcaster, newer or none, is lifted no further", () => {
  for (const v of [undefined, "1", 0, -3, 0.5, EVENT_VERSION, 99, Number.NaN]) {
    const event = { type: "x", at: 1, v };
    assert.deepEqual(lift(event as never), event);
  }
});

describe("ids", () => {
  test("compare as two numbers, not as text", () => {
    const sorted = ["0-0", "9-1", "10-0", "10-9", "10-10", "1700000000000-0", "1700000000000-5"];
    assert.deepEqual([...sorted].reverse().sort(compareIds), sorted);
    assert.equal(compareIds("5-1", "5-1"), 0);
  });

  test("are two numbers, the second 0 where there is none", () => {
    assert.deepEqual(splitId("17-3"), [17, 3]);
    assert.deepEqual(splitId("17"), [17, 0]);
  });
});
