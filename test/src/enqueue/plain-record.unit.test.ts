import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { plainRecord } from "../../../src/enqueue/plain-record.ts";
import { createRunIds } from "../../../streams/ids.ts";
import { toParcel } from "../../../streams/packed.ts";
import { anyText } from "../../support/texts.ts";

const newRun = createRunIds("default");
const parent = fc.record({ run: fc.constant(newRun(0)), root: anyText() });
const dispatch = fc.record({
  run: fc.constantFrom(newRun(1), newRun(2)),
  task: anyText({ minLength: 1 }),
  body: fc.oneof(fc.constant(""), fc.json(), fc.constant(JSON.stringify("long ".repeat(1_000)))),
  nowMs: fc.nat(),
  parent: fc.option(parent, { nil: undefined }),
  traceparent: fc.option(anyText(), { nil: undefined }),
  isOfMany: fc.boolean(),
});

test("the texts of a plain dispatch are what JSON would write of its event and its meta", () => {
  fc.assert(
    fc.property(dispatch, (given) => {
      const { run, task, body, nowMs, traceparent } = given;
      const parcel = toParcel(body);
      const record = plainRecord({ ...given, parcel });
      const travels = {
        ...(given.parent === undefined ? {} : { parent: given.parent.run, root: given.parent.root }),
        ...(traceparent === undefined ? {} : { traceparent, ...(given.isOfMany ? { isOfMany: true } : {}) }),
      };
      const event = { type: "run.enqueued", run, task, ...travels };
      assert.deepEqual(record.event, { ...event, ...parcel.event });
      const input = parcel.inputJson === undefined ? parcel.event : { input: JSON.parse(parcel.inputJson) };
      const { type: _, task: __, traceparent: ___, isOfMany: ____, ...own } = event as Record<string, unknown>;
      assert.deepEqual(JSON.parse(`{${record.eventJson}}`), JSON.parse(JSON.stringify({ ...own, ...input })));
      assert.equal(record.meta, JSON.stringify({ enqueuedAt: nowMs, ...parcel.meta, ...travels }));
      assert.equal(record.body, parcel.body);
    }),
  );
});
