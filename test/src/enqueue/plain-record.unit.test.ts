import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { plainRecord } from "../../../src/enqueue/plain-record.ts";
import { createRunIds } from "../../../streams/ids.ts";

const newRun = createRunIds("default");
const parent = fc.record({ run: fc.constant(newRun(0)), root: fc.string({ unit: "binary" }) });
const dispatch = fc.record({
  run: fc.constantFrom(newRun(1), newRun(2)),
  task: fc.string({ unit: "binary", minLength: 1 }),
  body: fc.oneof(fc.constant(""), fc.json()),
  nowMs: fc.nat(),
  parent: fc.option(parent, { nil: undefined }),
  traceparent: fc.option(fc.string({ unit: "binary" }), { nil: undefined }),
  isOfMany: fc.boolean(),
});

test("the texts of a plain dispatch are what JSON would write of its event and its meta", () => {
  fc.assert(
    fc.property(dispatch, (given) => {
      const { run, task, body, nowMs, traceparent } = given;
      const record = plainRecord(given);
      const travels = {
        ...(given.parent === undefined ? {} : { parent: given.parent.run, root: given.parent.root }),
        ...(traceparent === undefined ? {} : { traceparent, ...(given.isOfMany ? { isOfMany: true } : {}) }),
      };
      const event = { type: "run.enqueued", run, task, ...travels };
      assert.deepEqual(record.event, event);
      const input = body === "" ? "" : `,"input":${body}`;
      assert.equal(record.eventJson, `${JSON.stringify(event).slice(0, -1)}${input}}`);
      assert.equal(record.meta, JSON.stringify({ enqueuedAt: nowMs, ...travels }));
    }),
  );
});
