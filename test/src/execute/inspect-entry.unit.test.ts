import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { TaskRecord } from "../../../src/define/task.ts";
import { inspectEntry, readMeta } from "../../../src/execute/inspect-entry.ts";
import { ENTRY_FIELD, type Entry, toEntry } from "../../../streams/entry.ts";
import { anyText } from "../../support/texts.ts";

const run = "01890f5e-0000-7000-8000-000000000001";
const record = { name: "known", version: 2, run() {}, cron: undefined } as unknown as TaskRecord;
const parts = { task: (name: string) => (name === "known" ? record : undefined), idOf: () => "derived" };
const whole: Entry = {
  v: "1",
  run,
  task: "known",
  attempt: 1,
  key: "",
  expires: 0,
  meta: '{"enqueuedAt":1}',
  body: "",
};

function inspect(entry: Entry) {
  return inspectEntry({ delivery: { entry } }, parts);
}

test("an entry of ours is fit", () => {
  assert.equal(inspect(whole).kind, "fit");
});

test("what another worker may know is left to it", () => {
  const reason = (over: Partial<Entry>) => {
    const found = inspect({ ...whole, ...over });
    return found.kind === "unknown" ? found.reason : found.kind;
  };
  assert.equal(reason({ task: "other" }), "unknown_task");
  assert.equal(reason({ meta: '{"enqueuedAt":1,"taskVersion":3}' }), "newer_version");
  assert.equal(reason({ meta: '{"enqueuedAt":1,"taskVersion":1}' }), "fit");
  assert.equal(reason({ v: "2" }), "newer_format");
  assert.equal(reason({ v: "2", meta: "?" }), "newer_format");
  assert.equal(reason({ meta: '{"enqueuedAt":1,"codec":"gzip"}' }), "newer_format");
  assert.equal(reason({ meta: '{"enqueuedAt":1,"codec":"zstd","taskVersion":1}' }), "fit");
});

test("a run without an id of its own gets one by its entry", () => {
  const found = inspect({ ...whole, run: "" });
  assert.deepEqual([found.kind, found.run], ["undecodable", "derived"]);
});

test("a newer format without a run id is damaged, too: waiting would give it another id each time", () => {
  assert.equal(inspect({ ...whole, v: "2", run: "?" }).kind, "undecodable");
});

test("any fields at all are judged without a throw, and named so that they can be recorded", () => {
  const field = fc.oneof(anyText(), fc.constantFrom("1", run, "known", "{}", '{"enqueuedAt":1}'));
  fc.assert(
    fc.property(fc.array(field, { maxLength: 12 }), (packed) => {
      const found = inspect(toEntry([ENTRY_FIELD, packed.join("\0")]));
      assert.ok(["fit", "unknown", "undecodable"].includes(found.kind));
      assert.ok(found.task !== "" && found.run !== "");
      assert.ok(!JSON.stringify([found.task, found.run]).includes("\\u0000"));
    }),
    { numRuns: 2_000 },
  );
});

test("what nearly all metas say is read by hand as it is by JSON", () => {
  const traceparent = `00-${"a".repeat(32)}-${"b".repeat(16)}-01`;
  const said = fc.record(
    {
      enqueuedAt: fc.nat(),
      traceparent: fc.constantFrom(traceparent, "0", "1", "", `"${traceparent.slice(1)}`, `\\${traceparent.slice(1)}`),
      isOfMany: fc.boolean(),
      later: fc.string(),
    },
    { requiredKeys: ["enqueuedAt"] },
  );
  const cut = fc.tuple(fc.nat(120), fc.constantFrom("", "}", '"', "x"));
  fc.assert(
    fc.property(said, fc.option(cut, { nil: undefined }), (meta, hurt) => {
      const text = JSON.stringify(meta);
      const given = hurt === undefined ? text : text.slice(0, hurt[0]) + hurt[1] + text.slice(hurt[0] + 1);
      const found = inspect({ ...whole, meta: given });
      assert.deepEqual("meta" in found ? found.meta : undefined, readMeta(given));
    }),
  );
});

test("a meta is read whole or not at all", () => {
  assert.equal(readMeta("[]"), undefined);
  assert.equal(readMeta('{"enqueuedAt":"1"}'), undefined);
  assert.equal(readMeta('{"enqueuedAt":1,"labels":{"a":1}}'), undefined);
  assert.equal(readMeta('{"enqueuedAt":1,"cron":{}}'), undefined);
  assert.deepEqual(readMeta('{"enqueuedAt":1,"later":true}'), { enqueuedAt: 1, later: true });
  fc.assert(fc.property(fc.json(), (json) => void readMeta(json)));
});
