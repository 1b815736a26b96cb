import assert from "node:assert/strict";
import { test } from "node:test";
import { packedField } from "../../../src/enqueue/live-entry.ts";

function str(text: string): Buffer {
  const bytes = Buffer.from(text);
  if (bytes.length < 32) return Buffer.concat([Buffer.from([0xa0 | bytes.length]), bytes]);
  if (bytes.length < 256) return Buffer.concat([Buffer.from([0xd9, bytes.length]), bytes]);
  const head = Buffer.alloc(bytes.length < 65_536 ? 3 : 5);
  head[0] = bytes.length < 65_536 ? 0xda : 0xdb;
  if (head.length === 3) head.writeUInt16BE(bytes.length, 1);
  else head.writeUInt32BE(bytes.length, 1);
  return Buffer.concat([head, bytes]);
}

test("a field of a packed entry is found behind texts of any length", () => {
  const fields = ["1", "ü".repeat(20), "x".repeat(300), "y".repeat(70_000), "7", ""];
  const packed = Buffer.concat([Buffer.from([0x90 | fields.length]), ...fields.map(str)]);
  for (const [index, field] of fields.entries()) assert.equal(packedField(packed, index), field);
  assert.equal(packedField(packed, 6), undefined);
});

test("what is no packed entry has no fields, and is not read past its end", () => {
  assert.equal(packedField(Buffer.from("hello"), 0), undefined);
  assert.throws(() => packedField(Buffer.from([0x92, 0xc0]), 0), RangeError);
});
