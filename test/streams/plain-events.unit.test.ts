import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import type { Delivery } from "../../streams/entry.ts";
import type { EventDraft } from "../../streams/events.ts";
import { createRunIds } from "../../streams/ids.ts";
import { decodeEntry, encodeHeader } from "../../streams/ledger.ts";
import {
  type Common,
  commonOf,
  type Plain,
  type PlainStart,
  writeAny,
  writePlain,
} from "../../streams/plain-events.ts";
import { idsOfAttempt, idsOfDispatch, OF_ATTEMPT, OF_DISPATCH } from "../../streams/trace-ids.ts";
import { anyText } from "../support/texts.ts";

const runIds = createRunIds("q");
const text = anyText();
const few = fc.integer({ min: 1, max: 2 });
/** Short ones are read in full, which is shown below. */
const traces = fc.oneof(fc.constantFrom("x", "y"), text).filter((one) => one !== OF_DISPATCH && one !== OF_ATTEMPT);
/** A start, or an ending with or without it. */
const plain: fc.Arbitrary<Plain> = fc
  .record({
    task: fc.oneof(fc.constantFrom("a", "b"), text),
    attempt: few,
    delivery: few,
    ats: fc.tuple(few, few),
    traceparent: fc.option(traces, { nil: undefined }),
    waitedMs: fc.nat(),
    durationMs: fc.double({ min: 0, max: 1e9, noNaN: true }),
    told: fc.constantFrom("start", "ending", "both"),
  })
  .map(({ task, attempt, delivery, ats, traceparent, waitedMs, durationMs, told }) => {
    const entry = { run: runIds(0), task, attempt };
    const common = { isPlain: true, delivery: { delivery, entry } as Delivery, traceparent } as const;
    const start: PlainStart = { ...common, kind: "started", at: ats[0], waitedMs };
    if (told === "start") return start;
    return { ...common, kind: "ended", at: ats[1], durationMs, start: told === "both" ? start : undefined };
  });

/** Its events, as they would be written by JSON. */
function eventsOf(one: Plain): EventDraft[] {
  const { at, traceparent } = one;
  const { delivery, entry } = one.delivery;
  const common = { run: entry.run, task: entry.task, attempt: entry.attempt, delivery, at, traceparent };
  if (one.kind === "started") return [{ type: "run.started", ...common, waitedMs: one.waitedMs } as EventDraft];
  const own = { type: "run.succeeded", ...common, durationMs: one.durationMs } as EventDraft;
  return one.start === undefined ? [own] : [...eventsOf(one.start), own];
}

/** What lacks one or another of the fields in which the others may agree. */
const other: fc.Arbitrary<EventDraft> = fc.oneof(
  fc.record({ type: fc.constant("run.cancel_requested" as const), run: text, task: text }),
  fc.record({ type: fc.constant("run.cancelled" as const), run: text, task: fc.constant("a"), at: few }),
);

/** What readers make of a batch, less what every event has. */
function readBack(written: string, told: object): object[] {
  const header = encodeHeader({ incarnation: "w", call: 1, clockOffsetMs: 0 }, { queue: "q", ...told });
  const entry = { id: "9-1", header, count: 1, events: `[${written}]` };
  return decodeEntry(entry, { queue: "q", incarnation: "i" }).map((event) => {
    const { v: _v, queue: _queue, position: _position, traceId: _trace, ...own } = event as Record<string, unknown>;
    return own;
  });
}

describe("events of a worker's batch", () => {
  test("are read as they were, whatever they agree in, and none is told to have what it lacks", () => {
    fc.assert(
      fc.property(fc.array(plain, { maxLength: 6 }), fc.array(other, { maxLength: 2 }), (own, others) => {
        const events = [...own.flatMap(eventsOf), ...others];
        const told = commonOf(own, others);
        const texts = [...own.map((one) => writePlain(one, told)), writeAny(others, told)];
        const written = texts.filter((one) => one !== "").join(",");
        const expected = events.map((event) => ({ ...event, at: event.at ?? told.at ?? 9 }));
        assert.deepEqual(readBack(written, told), JSON.parse(JSON.stringify(expected)));
      }),
      { numRuns: 300 },
    );
  });

  test("say once which traces most of them are of that sampling has left out, and none that has no trace is told to have one", () => {
    const said = `00-${"a".repeat(32)}-${"b".repeat(16)}-01`;
    const started = (traceparent?: string): PlainStart => ({
      kind: "started",
      isPlain: true,
      delivery: { delivery: 1, entry: { run: runIds(0), task: "a", attempt: 2 } } as Delivery,
      at: 1,
      waitedMs: 0,
      traceparent,
    });
    const writeAll = (all: readonly Plain[], told: Common) => all.map((one) => writePlain(one, told)).join(",");
    const batch = [OF_ATTEMPT, said, OF_ATTEMPT, OF_DISPATCH].map(started);
    const told = commonOf(batch, []);
    assert.equal(told.traceparent, OF_ATTEMPT);
    const written = writeAll(batch, told);
    assert.equal(written.match(/traceparent/g)?.length, 2);
    const key = (at: number) => ({ run: batch[at]?.delivery.entry.run ?? "", attempt: 2, delivery: 1 });
    const expected = [
      idsOfAttempt(key(0)).traceId,
      "a".repeat(32),
      idsOfAttempt(key(2)).traceId,
      idsOfDispatch(key(3).run).traceId,
    ];
    const traceIds = (json: string, header: object) =>
      readBack(json, header).map((event) => (event as { traceparent?: string }).traceparent?.split("-")[1]);
    assert.deepEqual(traceIds(written, told), expected);
    assert.deepEqual(traceIds(writeAny(batch.flatMap(eventsOf), told), told), expected);
    const untraced = [...batch, started()];
    const toldOfNone = commonOf(untraced, []);
    assert.equal(toldOfNone.traceparent, undefined);
    assert.deepEqual(traceIds(writeAll(untraced, toldOfNone), toldOfNone), [...expected, undefined]);
  });

  test("that say nothing of when they were are of when the batch was sent", () => {
    assert.equal(commonOf([], [{ type: "run.cancel_requested", run: "r", task: "t" }]).at, undefined);
  });
});
