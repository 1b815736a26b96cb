import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { instantOf, offsetAt } from "../../../src/define/timezone.ts";

const HOUR = 3_600_000;
const wall = (text: string) => Date.parse(`${text}Z`);
const at = (text: string, timezone: string) => new Date(instantOf(wall(text), timezone)).toISOString().slice(0, 16);

test("a zone's offset follows its clocks", () => {
  assert.equal(offsetAt(Date.parse("2026-01-01T00:00Z"), "Europe/Berlin"), HOUR);
  assert.equal(offsetAt(Date.parse("2026-07-01T00:00Z"), "Europe/Berlin"), 2 * HOUR);
  assert.equal(offsetAt(Date.parse("2026-07-01T00:00Z"), "America/New_York"), -4 * HOUR);
  assert.equal(offsetAt(Date.parse("2026-01-01T00:00Z"), "Asia/Kathmandu"), 5.75 * HOUR);
  assert.equal(offsetAt(Date.parse("2026-01-01T00:00Z"), "UTC"), 0);
});

test("a time that clocks show twice is the first of the two", () => {
  assert.equal(at("2026-10-25T02:30", "Europe/Berlin"), "2026-10-25T00:30");
  assert.equal(at("2018-04-01T01:45", "Australia/Lord_Howe"), "2018-03-31T14:45");
});

test("a time that clocks leap over comes after the gap", () => {
  assert.equal(at("2026-03-29T02:30", "Europe/Berlin"), "2026-03-29T01:30");
});

test("any other time is the instant at which clocks show it", () => {
  const zones = fc.constantFrom("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu");
  const instants = fc.integer({ min: Date.UTC(1990, 0, 1) / 60_000, max: Date.UTC(2090, 0, 1) / 60_000 });
  fc.assert(
    fc.property(zones, instants, (timezone, minute) => {
      const ms = minute * 60_000;
      const shown = ms + offsetAt(ms, timezone);
      const found = instantOf(shown, timezone);
      assert.equal(found + offsetAt(found, timezone), shown);
      assert.ok(found <= ms && ms - found <= HOUR, "the first of two at most an hour apart");
    }),
  );
});
