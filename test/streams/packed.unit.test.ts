import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import { decodeEntry, encodeEvents, encodeHeader, type Shared, sharedBy } from "../../streams/ledger.ts";
import { bodyOf, isKnownCodec, PACK_FROM_LENGTH, toParcel, unpackInputs } from "../../streams/packed.ts";

const large = JSON.stringify({
  lines: Array.from({ length: 200 }, (_, n) => ({ sku: `AB-${n}`, title: "ein Stück" })),
});
const whole = (events: string, shared: Shared = {}) => ({
  id: "5-1",
  header: encodeHeader({ incarnation: "w", call: 1, clockOffsetMs: 0 }, { queue: "q", at: 7, ...shared }),
  count: 1,
  events,
});

test("a large input is packed once, for the entry and for the event", () => {
  const { body, meta, event } = toParcel(large);
  assert.deepEqual(meta, { codec: "zstd" });
  assert.deepEqual(event, { packed: body });
  assert.ok(body.length < large.length / 2, `${body.length} of ${large.length} characters`);
  assert.match(body, /^[A-Za-z0-9+/]+=*$/);
});

test("what comes out is what went in, whatever its size", () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.integer({ min: 0, max: 400 }), (value, count) => {
      const json = JSON.stringify(Array.from({ length: count }, () => value));
      const { body, meta, event, inputJson } = toParcel(json);
      assert.equal(bodyOf({ body }, meta), json);
      const input = inputJson === undefined ? undefined : { input: JSON.parse(inputJson) };
      const told = { type: "run.enqueued", run: "r", task: "t", ...event, ...input } as const;
      const [read] = decodeEntry(unpackInputs(whole(encodeEvents([told]))), { queue: "q", incarnation: "i" });
      assert.deepEqual((read as { input?: unknown }).input, JSON.parse(json));
      assert.equal((read as { packed?: unknown }).packed, undefined);
    }),
    { numRuns: 40 },
  );
});

test("a small input, one that hardly shrinks, and none travel as they are", () => {
  const noise = JSON.stringify({ blob: randomBytes(PACK_FROM_LENGTH * 4).toString("base64") });
  for (const json of ['{"n":1}', noise])
    assert.deepEqual(toParcel(json), { body: json, meta: {}, event: {}, inputJson: json });
  assert.deepEqual(toParcel(""), { body: "", meta: {}, event: {} });
});

test("an input that has a field named packed is no packed input", () => {
  const input = { packed: toParcel(large).body };
  const entry = whole(encodeEvents([{ type: "run.enqueued", run: "r", task: "t", input }]));
  assert.deepEqual(JSON.parse(unpackInputs(entry).events), [{ type: "run.enqueued", run: "r", task: "t", input }]);
});

test("a packed input is read in a batch whose header tells the type, and in no event that says another", () => {
  const { event } = toParcel(large);
  const told = [{ type: "run.enqueued", run: "r", task: "t", ...event }] as const;
  const shared = sharedBy(told, ["type", "task"]);
  const [read] = JSON.parse(unpackInputs(whole(encodeEvents(told, shared), shared)).events);
  assert.deepEqual(read, { run: "r", input: JSON.parse(large) });
  const other = whole(`[{"type":"run.other","packed":"${event.packed}"}]`, shared);
  assert.equal(JSON.parse(unpackInputs(other).events)[0].packed, event.packed);
});

test("what cannot be unpacked is handed on as it lies there", () => {
  for (const packed of ["", "?", "AAAA", toParcel(large).body.slice(0, 200)]) {
    const events = `[{"type":"run.enqueued","run":"r","task":"t","packed":${JSON.stringify(packed)}}]`;
    assert.deepEqual(JSON.parse(unpackInputs(whole(events)).events), JSON.parse(events));
  }
  const broken = whole('[{"packed":"AAAA"');
  assert.equal(unpackInputs(broken), broken);
  assert.throws(() => bodyOf({ body: "?" }, { codec: "zstd" }));
});

test("a codec that this version has not heard of is told apart", () => {
  assert.deepEqual([undefined, "json", "zstd", "gzip", 1].map(isKnownCodec), [true, true, true, false, false]);
});
