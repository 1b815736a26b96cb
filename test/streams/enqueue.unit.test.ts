import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { CALL_BYTES, CALL_RECORDS, cutIntoCalls, type EnqueueRecord, enqueueCall } from "../../streams/enqueue.ts";
import { ENTRY_FIELD, packEntry, toEntry } from "../../streams/entry.ts";
import type { UnknownEvent } from "../../streams/events.ts";
import { createRunIds } from "../../streams/ids.ts";
import { type Lane, openLane } from "../../streams/lane.ts";
import { decodeEntry } from "../../streams/ledger.ts";
import { wholeMs } from "../../streams/scripts.ts";
import { idsOfDispatch } from "../../streams/trace-ids.ts";
import { anyText } from "../support/texts.ts";

const record = (bytes: number) => ({ body: "x".repeat(bytes), meta: "" });

describe("records are cut into calls", () => {
  test("of five hundred", () => {
    assert.deepEqual(
      cutIntoCalls(Array.from({ length: 1_100 }, () => record(1))).map((call) => call.length),
      [500, 500, 100],
    );
    assert.deepEqual(cutIntoCalls([]), []);
  });

  test("of 256 KiB, of which one that is larger goes alone", () => {
    const sizes = [100_000, 100_000, 100_000, 300_000, 5, 300_000, 261_800, 1, 1];
    const calls = cutIntoCalls(sizes.map(record)).map((call) => call.map(({ body }) => body.length));
    assert.deepEqual(calls, [[100_000, 100_000], [100_000], [300_000], [5], [300_000], [261_800, 1], [1]]);
  });

  test("by their bytes, not their characters", () => {
    const wide = { body: "€".repeat(50_000), meta: "" };
    assert.deepEqual(
      cutIntoCalls([wide, wide]).map((call) => call.length),
      [1, 1],
    );
  });

  test("none is lost, none moves, and no call is larger than it may be", () => {
    const sizes = fc.array(fc.oneof(fc.nat({ max: 50 }), fc.integer({ min: 100_000, max: 400_000 })), {
      maxLength: 60,
    });
    fc.assert(
      fc.property(sizes, (all) => {
        const records = all.map(record);
        const calls = cutIntoCalls(records);
        assert.deepEqual(calls.flat(), records);
        for (const call of calls) {
          const bytes = call.reduce((sum, { body }) => sum + body.length, 0);
          assert.ok(call.length > 0 && call.length <= CALL_RECORDS);
          assert.ok(call.length === 1 || bytes <= CALL_BYTES);
        }
      }),
      { numRuns: 50 },
    );
  });
});

const newRun = createRunIds("q");

describe("a call", () => {
  const lane = openLane({ redis: {} as Lane["redis"], namespace: "n", queue: "q", incarnation: "i" });
  const aRecord = (run: string, task: string, more: object = {}): EnqueueRecord => {
    const event = { type: "run.enqueued", run, task } as const;
    return { run, task, meta: "{}", body: "", expires: 0, dueAt: 0, key: undefined, event, ...more };
  };
  const plain = (run: string, task: string, more: object = {}): EnqueueRecord => {
    const event = { type: "run.enqueued", task, parent: "p", ...more } as const;
    const entry = `\0${task}\x001\0\x000\0{}\0`;
    return { run, body: "5", head: { meta: "{}", entry, beforeBody: ',"parent":"p","input":', afterBody: "}", event } };
  };
  const recorded = (records: readonly EnqueueRecord[]) => {
    const { args } = enqueueCall(lane, 1, 0, records);
    const [header = "", count, json = ""] = args.slice(2, 5).map(String);
    const texts =
      json === ""
        ? `[${args
            .slice(6)
            .filter((_, at) => at % 6 === 5)
            .join(",")}]`
        : json;
    const { type, task } = JSON.parse(header).d;
    const told = JSON.parse(texts) as readonly object[];
    if (json !== "") assert.equal(Number(count), told.length);
    const read = decodeEntry({ id: "1-0", header, count: told.length, events: texts }, { queue: "q", incarnation: "" });
    return {
      shared: { type, task },
      told,
      events: read,
      read: read.map((event) => ["type", "task", "run"].map((name) => (event as UnknownEvent)[name])),
    };
  };

  test("has an entry of each record, plain or not", () => {
    const entries = (args: readonly unknown[]) => args.slice(6).filter((text) => String(text).startsWith("1\0"));
    for (const more of [{}, { dueAt: 9 }]) {
      const { args } = enqueueCall(lane, 1, 0, [aRecord("a", "t", more), plain("c", "u")]);
      assert.deepEqual(args[5], "dueAt" in more ? "mixed" : "plain");
      const parts = { attempt: 1, key: "", expires: 0, meta: "{}" };
      const expected = [
        packEntry({ ...parts, run: "a", task: "t", body: "" }),
        packEntry({ ...parts, run: "c", task: "u", body: "5" }),
      ];
      assert.deepEqual(entries(args), expected);
    }
  });

  test("tells type and task once where all have the same", () => {
    const { shared, told, read } = recorded([aRecord("a", "t"), plain("c", "t")]);
    assert.deepEqual(shared, { type: "run.enqueued", task: "t" });
    assert.deepEqual(told, [{ run: "a" }, { run: "c", parent: "p", input: 5 }]);
    assert.deepEqual(read, [
      ["run.enqueued", "t", "a"],
      ["run.enqueued", "t", "c"],
    ]);
  });

  test("tells in each event what is not the same in all: the task, or the type when one has another event before it", () => {
    assert.deepEqual(recorded([plain("a", "t"), plain("c", "u")]).shared, { type: "run.enqueued", task: undefined });
    const tasks = recorded([aRecord("a", "t"), plain("c", "u")]);
    assert.deepEqual(tasks.shared, { type: "run.enqueued", task: undefined });
    assert.deepEqual(tasks.read, [
      ["run.enqueued", "t", "a"],
      ["run.enqueued", "u", "c"],
    ]);
    const before = { type: "run.redriven", run: "z", task: "t", as: "a" } as const;
    const types = recorded([aRecord("a", "t", { before }), plain("c", "t")]);
    assert.deepEqual(types.shared, { type: undefined, task: "t" });
    assert.deepEqual(types.read, [
      ["run.redriven", "t", "z"],
      ["run.enqueued", "t", "a"],
      ["run.enqueued", "t", "c"],
    ]);
  });

  test("tells once the trace of those that were dispatched together, and the trace that most follow from their runs of others", () => {
    const said = `00-${"a".repeat(32)}-${"b".repeat(16)}-01`;
    const traced = (run: string, traceparent: string, more: object = {}) => plain(run, "t", { traceparent, ...more });
    const input = { parent: "p", input: 5 };
    const together = recorded(["a", "c"].map((run) => traced(run, said, { isOfMany: true })));
    assert.deepEqual(together.told, [
      { run: "a", ...input },
      { run: "c", ...input },
    ]);
    const events = together.events as readonly { traceparent?: string; isOfMany?: boolean }[];
    assert.deepEqual(
      events.map(({ traceparent, isOfMany }) => [traceparent, isOfMany]),
      [
        [said, true],
        [said, true],
      ],
    );
    const [first, last] = [newRun(0), newRun(0)];
    const { told, events: alone } = recorded([traced(first, "0"), traced("b", said), traced(last, "0")]);
    assert.deepEqual(told, [
      { run: first, ...input },
      { run: "b", traceparent: said, ...input },
      { run: last, ...input },
    ]);
    assert.deepEqual(
      alone.map((event) => ("traceId" in event ? event.traceId : undefined)),
      [idsOfDispatch(first).traceId, "a".repeat(32), idsOfDispatch(last).traceId],
    );
    const alike = recorded([traced("a", said), { ...traced("c", said, { isOfMany: true }) }]);
    assert.deepEqual(alike.told, [
      { run: "a", ...input },
      { run: "c", isOfMany: true, ...input },
    ]);
    const event = { type: "run.enqueued", run: "d", task: "t", traceparent: "0" };
    const delayed = recorded([aRecord("d", "t", { dueAt: 9, event }), traced("e", "0")]); // the script tells of it when it is due
    assert.deepEqual(delayed.told, [
      { run: "d", traceparent: "0", dueAt: 9 },
      { run: "e", traceparent: "0", ...input },
    ]);
  });

  test("is told in the same way by records with keys, of which the script picks", () => {
    const key = { name: "{n:q}:key:t:k", ttlMs: 1 };
    const { shared, told, read } = recorded([aRecord("a", "t", { key }), plain("c", "t")]);
    assert.deepEqual(shared, { type: "run.enqueued", task: "t" });
    assert.deepEqual(told, [{ run: "a" }, { run: "c", parent: "p", input: 5 }]);
    assert.deepEqual(read, [
      ["run.enqueued", "t", "a"],
      ["run.enqueued", "t", "c"],
    ]);
  });
});

test("milliseconds for a script are whole and within what Redis takes for a time, whatever they were", () => {
  const cases: [number, number][] = [
    [5, 5],
    [5.1, 6],
    [-5, 0],
    [-0.5, 0],
    [Number.NaN, 0],
    [Number.NEGATIVE_INFINITY, 0],
    [Number.POSITIVE_INFINITY, 8_640_000_000_000_000],
    [1e300, 8_640_000_000_000_000],
  ];
  for (const [given, expected] of cases) assert.ok(Object.is(wholeMs(given), expected), `${given}: ${wholeMs(given)}`);
  fc.assert(fc.property(fc.double(), (ms) => assert.match(String(wholeMs(ms)), /^\d{1,16}$/)));
});

describe("an entry is read", () => {
  test("as it was packed, whatever its parts hold, and a body even with the character between them", () => {
    const part = fc.string({ unit: "grapheme" }).map((text) => text.replaceAll("\0", ""));
    const entry = fc.record(
      {
        v: fc.constantFrom("1", "2"),
        run: part,
        task: part,
        attempt: fc.nat(),
        key: part,
        expires: fc.nat(),
        meta: part,
        body: fc.string(),
      },
      { noNullPrototype: true },
    );
    fc.assert(fc.property(entry, (whole) => assert.deepEqual({ ...toEntry([ENTRY_FIELD, packEntry(whole)]) }, whole)));
  });

  test("without a version, and with all that was found as its body, when it is packed otherwise or not at all", () => {
    const strange = { v: "", run: "", task: "", attempt: Number.NaN, key: "", expires: 0, meta: "" };
    for (const fields of [[], ["v", "1", "run", "r"], [ENTRY_FIELD, "1\0r\0t\x001\0\x000\0{}"]])
      assert.deepEqual(toEntry(fields), { ...strange, body: JSON.stringify(fields) });
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.constant(ENTRY_FIELD), anyText())), (fields) => {
        const read = toEntry(fields);
        assert.equal(typeof read.run, "string");
        assert.equal(typeof read.attempt, "number");
      }),
    );
  });
});
