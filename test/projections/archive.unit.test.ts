import assert from "node:assert/strict";
import { test } from "node:test";
import { fromArchived, toArchived } from "../../projections/archive.ts";
import { decodeEntry, encodeEvents, encodeHeader, type LedgerEntry } from "../../streams/ledger.ts";

const HEADER = encodeHeader({ incarnation: "p", call: 1, clockOffsetMs: 0 }, { queue: "q", at: 5 });
const PLACE = { lane: "ns:q", incarnation: "life1" };

function archive(entry: LedgerEntry) {
  return toArchived(entry, PLACE, decodeEntry(entry, { queue: "q", incarnation: "life1" }));
}

test("an entry is archived as it is, and comes back as it was", () => {
  const events = encodeEvents([{ type: "run.due", run: "r", task: "näh 🪡 \ud83d\ude00" }]);
  const entry = { id: "17-3", header: HEADER, count: 1, events };
  const archived = archive(entry);
  assert.deepEqual(archived, { ...PLACE, ms: 17, seq: 3, eventCount: 1, header: HEADER, events, raw: null });
  assert.deepEqual(fromArchived(archived), entry);
});

for (const [what, header, events] of [
  ["no JSON", HEADER, "[{"],
  ["no array", HEADER, "{}"],
  ["something among the events that is none", HEADER, '[{"type":"run.due"},5]'],
  ["a NUL", HEADER, '[{"type":"run.due","task":"a\\u0000b"}]'],
  ["half a surrogate pair", HEADER, '[{"type":"run.due","task":"\\ud83d"}]'],
  ["a NUL in a name", HEADER, '[{"type":"run.due","a\\u0000":1}]'],
  ["a number beyond numbers", HEADER, '[{"type":"run.due","at":1e999999}]'],
  ["no header", "", "[]"],
  ["defaults that are no object", '{"f":1,"d":5}', "[]"],
  ["a NUL byte", HEADER, '[{"type":"run.due","task":"a\0b"}]'],
] as const) {
  test(`an entry with ${what} is kept whole, and one event that can be unpacked stands in for it`, () => {
    const entry = { id: "17-0", header, count: 1, events };
    const archived = archive(entry);
    assert.notEqual(archived.raw, null);
    assert.doesNotMatch(archived.raw ?? "", /\0/);
    assert.ok((archived.raw ?? "").isWellFormed());
    assert.deepEqual(JSON.parse(archived.events), [{ type: "ledger.malformed" }]);
    assert.deepEqual(JSON.parse(archived.header), { f: 1, d: { at: 17, queue: "q" } });
    assert.deepEqual(fromArchived(archived), entry);
  });
}

test("what only looks like something that Postgres refuses is archived as it is", () => {
  for (const text of ['"\\ud83d\\ude00"', '"1e999"', "1e300"]) {
    assert.equal(
      archive({ id: "1-0", header: HEADER, count: 1, events: `[{"type":"x","task":${text}}]` }).raw,
      null,
      text,
    );
  }
});
