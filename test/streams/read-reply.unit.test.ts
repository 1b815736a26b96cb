import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { createReadReply, type RawEntry, type RawStreams } from "../../streams/read-reply.ts";

const text = fc.string({ unit: fc.oneof(fc.constantFrom("\r\n", "$3\r\n", "*", "\0", "é", "漢", "💥"), fc.string()) });
const entry: fc.Arbitrary<RawEntry> = fc.tuple(
  fc.tuple(fc.nat(), fc.nat()).map((id) => id.join("-")),
  fc.option(fc.array(text, { maxLength: 4 })),
);
const streams: fc.Arbitrary<RawStreams> = fc.option(
  fc.array(fc.tuple(text, fc.array(entry, { maxLength: 6 })), { maxLength: 2 }),
);

/** A value as Redis writes it. */
function written(value: unknown): string {
  if (value === null) return "*-1\r\n";
  if (Array.isArray(value)) return `*${value.length}\r\n${value.map(written).join("")}`;
  return `$${Buffer.byteLength(String(value))}\r\n${value}\r\n`;
}

function take(pieces: readonly Buffer[]) {
  const reply = createReadReply();
  const answers = pieces.map((piece) => reply.take(piece));
  return { early: answers.slice(0, -1).filter((answer) => answer !== undefined), last: answers.at(-1) };
}

describe("the answer to a read", () => {
  test("is the same however the socket cuts it, and is whole with its last piece and not before", () => {
    fc.assert(
      fc.property(streams, fc.array(fc.nat(), { maxLength: 5 }), (said, places) => {
        const bytes = Buffer.from(written(said));
        const cuts = [...new Set(places.map((place) => 1 + (place % bytes.length)))].sort((a, b) => a - b);
        const ends = [...cuts.filter((cut) => cut < bytes.length), bytes.length];
        const pieces = ends.map((end, at) => bytes.subarray(at === 0 ? 0 : ends[at - 1], end));
        assert.deepEqual(take(pieces), { early: [], last: { streams: said } });
      }),
      { numRuns: 300 },
    );
  });

  test("is an error where Redis says one, cut or not", () => {
    for (const pieces of [["-NOGROUP No such key\r\n"], ["-NOGR", "OUP No such key\r\n"]]) {
      const { last } = take(pieces.map((piece) => Buffer.from(piece)));
      assert.ok(last !== undefined && "error" in last);
      assert.equal(last.error.message, "NOGROUP No such key");
    }
  });

  test("is an error where it is of another kind", () => {
    const { last } = take([Buffer.from("+PONG\r\n")]);
    assert.ok(last !== undefined && "error" in last);
    assert.match(last.error.message, /none that this version knows/);
  });
});
