import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { clean, cleanLines, fit, pad, widthOf } from "../../../src/cli/text.ts";
import { anyText } from "../../support/texts.ts";

test("nothing that a terminal acts on is left of a text", () => {
  assert.equal(clean("a\u001b[31mred\u001b[0m\u0007b"), "ared b");
  assert.equal(clean("one\ntwo\r\nthree\u009b2J"), "one two three");
  assert.equal(clean("user\u202egpj.exe"), "usergpj.exe");
  fc.assert(
    fc.property(anyText(), (text) => {
      // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
      assert.doesNotMatch(clean(text), /[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/);
    }),
  );
});

test("lines stay lines when they are cleaned as such", () => {
  assert.equal(cleanLines("a\u0007\n  at b\r\nc"), "a \n  at b\nc");
});

test("a text's width is what a terminal gives it", () => {
  assert.equal(widthOf("abc"), 3);
  assert.equal(widthOf("日本"), 4);
  assert.equal(widthOf("é"), 1);
  assert.equal(widthOf("e\u0301"), 1);
  assert.equal(widthOf("👩‍👩‍👧"), 2);
});

test("a text that is too wide ends with an ellipsis, and is never wider than asked", () => {
  assert.equal(fit("abcdef", 4), "abc…");
  assert.equal(fit("abcd", 4), "abcd");
  assert.equal(fit("日本語", 4), "日…");
  fc.assert(
    fc.property(fc.string({ unit: "grapheme" }), fc.nat(30), (text, columns) => {
      assert.ok(widthOf(fit(text, columns)) <= columns);
    }),
  );
});

test("a text is filled up on the side that is asked for", () => {
  assert.equal(pad("日", 4), "日  ");
  assert.equal(pad("7", 3, "right"), "  7");
});
