import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { createPlainRecords } from "../../../src/enqueue/plain-record.ts";
import { ENTRY_VERSION, packEntry } from "../../../streams/entry.ts";
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

test("entry and event of a plain dispatch are what is written of any other", () => {
  const plainRecord = createPlainRecords();
  fc.assert(
    fc.property(dispatch, ({ run, body, ...source }) => {
      const { task, nowMs, traceparent } = source;
      const { head, ...record } = plainRecord(run, body, source);
      const parcel = toParcel(body);
      const travels = {
        ...(source.parent === undefined ? {} : { parent: source.parent.run, root: source.parent.root }),
        ...(traceparent === undefined ? {} : { traceparent, ...(source.isOfMany ? { isOfMany: true } : {}) }),
      };
      const meta = JSON.stringify({ enqueuedAt: nowMs, ...parcel.meta, ...travels });
      assert.deepEqual([record.run, record.body, head.meta], [run, parcel.body, meta]);
      const entry = packEntry({ run, task, attempt: 1, key: "", expires: 0, meta, body: parcel.body });
      assert.equal(`${ENTRY_VERSION}\0${run}${head.entry}${record.body}`, entry);
      assert.deepEqual(head.event, { type: "run.enqueued", task, ...travels });
      const input = parcel.inputJson === undefined ? parcel.event : { input: JSON.parse(parcel.inputJson) };
      const { traceparent: _, isOfMany: __, ...own } = travels as Record<string, unknown>;
      const told = `{"run":"${run}"${head.beforeBody}${record.body}${head.afterBody}`;
      assert.deepEqual(JSON.parse(told), JSON.parse(JSON.stringify({ run, ...own, ...input })));
    }),
  );
});

test("those that differ in run and input alone have one head, and no others", () => {
  const plainRecord = createPlainRecords();
  const source = { task: "t", nowMs: 1, parent: undefined, traceparent: undefined, isOfMany: false };
  const first = plainRecord("a", "1", source);
  assert.equal(plainRecord("b", "2", { ...source }).head, first.head);
  const other = { run: "p", root: "p" };
  for (const change of [{ task: "u" }, { nowMs: 2 }, { parent: other }, { traceparent: "x" }, { isOfMany: true }]) {
    plainRecord("a", "1", source);
    const changed = plainRecord("b", "2", { ...source, ...change });
    assert.notEqual(changed.head, first.head);
  }
  assert.notEqual(plainRecord("c", "", source).head, plainRecord("d", "1", source).head);
});
