import assert from "node:assert/strict";
import { test } from "node:test";
import { localTime, openZone } from "../../../src/define/zone.ts";

const HOUR = 3_600_000;
const dayOf = (date: string) => Date.parse(date) / 86_400_000;

test("a zone's clocks are ahead of UTC by so much at the end of a day", () => {
  const offset = (zone: string, date: string) => openZone(zone).offsetOn(dayOf(date)) / HOUR;
  assert.equal(offset("Europe/Berlin", "2026-01-01"), 1);
  assert.equal(offset("Europe/Berlin", "2026-07-01"), 2);
  assert.equal(offset("America/New_York", "2026-07-01"), -4);
  assert.equal(offset("Asia/Kathmandu", "2026-01-01"), 5.75);
  assert.equal(offset("Etc/GMT-2", "2026-01-01"), 2);
  assert.equal(offset("UTC", "2026-01-01"), 0);
  assert.equal(offset("Etc/UTC", "2026-01-01"), 0);
});

test("a change of clocks belongs to the day of UTC that it is made on, its first minute included", () => {
  const berlin = openZone("Europe/Berlin");
  assert.deepEqual(berlin.changeOn(dayOf("2026-03-29")), {
    at: Date.parse("2026-03-29T01:00Z"),
    from: HOUR,
    to: 2 * HOUR,
  });
  assert.equal(berlin.changeOn(dayOf("2026-03-28")), undefined);
  assert.equal(berlin.changeOn(dayOf("2026-03-30")), undefined);
  const gaza = openZone("Asia/Gaza");
  assert.equal(gaza.changeOn(dayOf("2023-04-29"))?.at, Date.parse("2023-04-29T00:00Z"));
  assert.equal(gaza.changeOn(dayOf("2023-04-28")), undefined);
});

test("an instant is told as clocks show it, with their distance from UTC", () => {
  const told = (zone: string, at: string) => localTime(openZone(zone), Date.parse(at));
  assert.equal(told("UTC", "2026-03-29T01:30Z"), "2026-03-29T01:30:00+00:00");
  assert.equal(told("Europe/Berlin", "2026-03-29T00:59Z"), "2026-03-29T01:59:00+01:00");
  assert.equal(told("Europe/Berlin", "2026-03-29T01:00Z"), "2026-03-29T03:00:00+02:00");
  assert.equal(told("America/St_Johns", "2026-03-29T01:30Z"), "2026-03-28T23:00:00-02:30");
  assert.equal(told("Asia/Kathmandu", "2026-03-29T01:30Z"), "2026-03-29T07:15:00+05:45");
});
