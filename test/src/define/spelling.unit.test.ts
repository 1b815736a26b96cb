import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { didYouMean, nearest } from "../../../src/define/spelling.ts";

const words = ["attempts", "backoff", "delay", "maxDelay", "jitter", "timeout"];

test("the candidate that was probably meant is found", () => {
  assert.equal(nearest("attemps", words), "attempts");
  assert.equal(nearest("timout", words), "timeout");
  assert.equal(nearest("maxdelay", words), "maxDelay");
  assert.equal(nearest("dealy", words), "delay");
});

test("what is near to nothing gets no suggestion", () => {
  assert.equal(nearest("queue", words), undefined);
  assert.equal(nearest("", words), undefined);
  assert.equal(nearest("x", []), undefined);
  assert.equal(didYouMean("queue", words), "");
});

test("a suggestion is the end of a sentence", () => {
  assert.equal(didYouMean("timout", words), '. Did you mean "timeout"?');
});

test("a word with one typing mistake leads back to the word", () => {
  const slip = fc.record({ word: fc.constantFrom(...words), at: fc.nat(3), letter: fc.constantFrom("q", "z", "") });
  fc.assert(
    fc.property(slip, ({ word, at, letter }) => {
      assert.equal(nearest(word.slice(0, at) + letter + word.slice(at + 1), words), word);
    }),
  );
});
