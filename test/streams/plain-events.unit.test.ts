import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import type { EventDraft } from "../../streams/events.ts";
import { createRunIds } from "../../streams/ids.ts";
import { decodeEntry, encodeHeader } from "../../streams/ledger.ts";
import { type PlainEvent, toldOnce, writeAny, writePlain } from "../../streams/plain-events.ts";
import { anyText } from "../support/texts.ts";

const runIds = createRunIds("q");
const text = anyText();
const few = fc.integer({ min: 1, max: 2 });
const common = fc.record(
  {
    run: fc.nat().map(() => runIds(0)),
    task: fc.oneof(fc.constantFrom("a", "b"), text),
    attempt: few,
    delivery: few,
    at: few,
    traceparent: text,
  },
  { requiredKeys: ["run", "task", "attempt", "delivery", "at"] },
);
const plain: fc.Arbitrary<PlainEvent> = fc.oneof(
  fc.tuple(common, fc.nat()).map(([of, waitedMs]) => ({ type: "run.started" as const, ...of, waitedMs })),
  fc
    .tuple(common, fc.double({ min: 0, max: 1e9, noNaN: true }))
    .map(([of, durationMs]) => ({ type: "run.succeeded" as const, ...of, durationMs })),
);
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
        const events = [...(own as EventDraft[]), ...others];
        const told = toldOnce(events);
        const written = [writePlain(own, told), writeAny(others, told)].filter((one) => one !== "").join(",");
        const expected = events.map((event) => ({ ...event, at: event.at ?? told.at ?? 9 }));
        assert.deepEqual(readBack(written, told), JSON.parse(JSON.stringify(expected)));
      }),
      { numRuns: 300 },
    );
  });

  test("that say nothing of when they were are of when the batch was sent", () => {
    assert.equal(toldOnce([{ type: "run.cancel_requested", run: "r", task: "t" }]).at, undefined);
  });
});
