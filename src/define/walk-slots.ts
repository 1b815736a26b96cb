import type { WallTimes } from "./wall-times.ts";
import type { Change, Zone } from "./zone.ts";

const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;
const MINUTE_MS = 60_000;

/**
 * The instants, after one, at which a zone's clocks show the times of a pattern; soonest first, without end unless it never fires.
 * Which instants they are does not hang on where the walk begins: schedulers that begin anywhere agree.
 *
 * Where clocks are changed, a pattern that the change leaves as it was (each hour, each quarter of one) goes on evenly.
 * Any other names times of the wall clock, each of which counts once: what clocks leap over fires together, right after the leap;
 * what they show twice fires the first time.
 */
export function* walkSlots(times: WallTimes, zone: Zone, afterMs: number): Generator<number, undefined> {
  for (let day = Math.floor((afterMs + 1) / DAY_MS); ; day += 1) {
    // A day of UTC shows parts of three days at most, the world over; where none of them is named, the next that is.
    const named = times.nextDay(day - 1);
    if (named === undefined) return;
    day = Math.max(day, named - 1);
    yield* slotsOfDay(times, day, { zone, afterMs });
  }
}

function* slotsOfDay(
  times: WallTimes,
  utcDay: number,
  { zone, afterMs }: { readonly zone: Zone; readonly afterMs: number },
): Generator<number> {
  const [start, end] = [utcDay * DAY_MS, (utcDay + 1) * DAY_MS];
  const change = zone.changeOn(utcDay);
  const earlier = zone.changeOn(utcDay - 1);
  const isSecond = (slot: number) => isShownAgain(times, slot, change) || isShownAgain(times, slot, earlier);
  const first = {
    from: Math.max(start, afterMs + 1),
    until: change?.at ?? end,
    offset: change?.from ?? zone.offsetOn(utcDay),
  };
  for (const slot of slotsIn(times, first)) if (!isSecond(slot)) yield slot;
  if (change === undefined) return;
  const isLeapt = change.at > afterMs && leapsOver(times, change);
  if (isLeapt) yield change.at;
  const second = { from: Math.max(change.at, afterMs + 1), until: end, offset: change.to };
  for (const slot of slotsIn(times, second)) if (!isSecond(slot) && !(isLeapt && slot === change.at)) yield slot;
}

/** A stretch of time in which clocks do not change. */
interface Stretch {
  /** Belongs to it; `until` does not. */
  readonly from: number;
  readonly until: number;
  readonly offset: number;
}

function* slotsIn(times: WallTimes, { from, until, offset }: Stretch): Generator<number> {
  const lastDay = Math.floor((until - 1 + offset) / DAY_MS);
  for (let day = Math.floor((from + offset) / DAY_MS); day <= lastDay; day += 1) {
    if (!times.isDay(day)) continue;
    for (const hour of times.hours) {
      const hourAt = day * DAY_MS + hour * HOUR_MS - offset;
      if (hourAt + HOUR_MS <= from) continue;
      for (const minute of times.minutes) {
        const slot = hourAt + minute * MINUTE_MS;
        if (slot >= until) return;
        if (slot >= from) yield slot;
      }
    }
  }
}

/** True when the pattern names a time that clocks leap over. */
function leapsOver(times: WallTimes, { at, from, to }: Change): boolean {
  if (to < from || isEven(times, to - from)) return false;
  return !slotsIn(times, { from: at, until: at + to - from, offset: from }).next().done;
}

/** True when clocks have shown the slot's time once before, because of a change. */
function isShownAgain(times: WallTimes, slot: number, change: Change | undefined): boolean {
  if (change === undefined || slot < change.at || slot >= change.at + change.from - change.to) return false;
  return !isEven(times, change.from - change.to);
}

/** True when clocks that are moved by so much show the times of the pattern at the same instants as before. */
function isEven({ hours, minutes }: WallTimes, shiftMs: number): boolean {
  if (hours.length < 24) return false;
  const shift = Math.round(shiftMs / MINUTE_MS) % 60;
  const all = new Set(minutes);
  return minutes.every((minute) => all.has((minute + shift) % 60));
}
