import assert from "node:assert/strict";
import { test } from "node:test";
import { bytesWords, counted, lengthWords, relativeWords } from "../../../src/cli/words.ts";

test("a length of time is told in its largest unit", () => {
  const told = [0, 350, 999, 1_000, 2_440, 9_940, 12_000, 119_000, 121_000, 3_600_000, 7_200_000, 172_800_000];
  assert.deepEqual(told.map(lengthWords), [
    "0ms",
    "350ms",
    "999ms",
    "1s",
    "2.4s",
    "9.9s",
    "12s",
    "119s",
    "2m",
    "60m",
    "2h",
    "2d",
  ]);
  assert.equal(lengthWords(-1_500), "-1.5s");
});

test("an instant is told as seen from now", () => {
  assert.equal(relativeWords(1_000, 1_100), "now");
  assert.equal(relativeWords(0, 3_200), "3s ago");
  assert.equal(relativeWords(300_000, 0), "in 5m");
});

test("bytes are told in a unit that keeps them short", () => {
  assert.deepEqual([0, 812, 14_336, 2_621_440].map(bytesWords), ["0 B", "812 B", "14 KB", "2.5 MB"]);
  assert.equal(bytesWords(undefined), "–");
});

test("one is one, and others are many", () => {
  assert.equal(counted(1, "run"), "1 run");
  assert.equal(counted(1_200, "entry", "entries"), "1,200 entries");
});
