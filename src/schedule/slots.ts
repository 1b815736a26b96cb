import { createHash } from "node:crypto";

/** The slots of a schedule after an instant, in ms, soonest first: fewer than `count` when it has no more. */
export type NextSlots = (afterMs: number, count: number) => readonly number[];

/** A stretch of time, in ms: `after` does not belong to it, `until` does. */
export interface Range {
  readonly after: number;
  readonly until: number;
}

/** Slots fetched at once: few at first, since the next of `0 3 29 2 *` takes milliseconds to find; more for one that fires often. */
const FEWEST_AHEAD = 2;
const MOST_AHEAD = 32;

/** Slots kept: more than what any decision but a large catch-up looks at. */
const MOST_KEPT = 256;

/** The same slots, kept once they are found: what follows a slot is then known before it is due. */
export function rememberSlots(next: NextSlots): NextSlots {
  let from = Number.POSITIVE_INFINITY;
  let known: number[] = [];
  let hasEnded = false;
  let ahead = FEWEST_AHEAD;
  const restart = (afterMs: number) => {
    [from, known, hasEnded, ahead] = [afterMs, [], false, FEWEST_AHEAD];
  };
  const extend = (missing: number) => {
    const wanted = Math.max(missing, ahead);
    const more = next(known.at(-1) ?? from, wanted);
    hasEnded = more.length < wanted;
    ahead = Math.min(ahead * 2, MOST_AHEAD);
    known.push(...more);
  };
  return (afterMs, count) => {
    const isWithin = afterMs >= from && (hasEnded || afterMs <= (known.at(-1) ?? from));
    if (!isWithin) restart(afterMs);
    const at = firstAfter(known, afterMs);
    if (!hasEnded && known.length - at < count) extend(count - (known.length - at));
    const found = known.slice(at, at + count);
    if (known.length > MOST_KEPT) {
      known = known.slice(at);
      from = afterMs;
    }
    return found;
  };
}

function firstAfter(slots: readonly number[], afterMs: number): number {
  const at = slots.findIndex((slot) => slot > afterMs);
  return at < 0 ? slots.length : at;
}

/** The slots in a range, oldest first; at most `most` of them. Walks little further than the range, since a step may be dear. */
export function slotsIn(next: NextSlots, { after, until }: Range, most: number): number[] {
  const found: number[] = [];
  let wanted = 2;
  while (found.length < most && (found.at(-1) ?? after) < until) {
    const asked = Math.min(wanted, most - found.length);
    const more = next(found.at(-1) ?? after, asked);
    const inside = more.filter((slot) => slot <= until);
    found.push(...inside);
    if (inside.length < asked) break;
    wanted = Math.min(wanted * 2, 256);
  }
  return found;
}

const FIRST_SPAN_MS = 3_600_000;

/** The newest slots in a range, oldest first. Found by walking forwards from ever further back, so that a year costs little more than an hour. */
export function newestIn(next: NextSlots, { after, until }: Range, most: number): number[] {
  for (let spanMs = FIRST_SPAN_MS; ; ) {
    const from = Math.max(after, until - spanMs);
    const found = slotsIn(next, { after: from, until }, Number.POSITIVE_INFINITY);
    if (found.length >= most || from === after) return found.slice(-most);
    spanMs *= found.length === 0 ? 8 : Math.min(4, 1 + Math.ceil(most / found.length));
  }
}

/** When a slot is to be acted on: the slot itself, or with jitter somewhat later, at a moment that every scheduler works out alike. */
export type DueAt = (slot: number) => number;

/** The jitter of a schedule: up to `jitterMs`, by a hash of its name and the slot, and always before the next slot, so that slots keep their order. */
export function dueAtOf(schedule: string, jitterMs: number, next: NextSlots): DueAt {
  if (jitterMs === 0) return (slot) => slot;
  return (slot) => {
    const gap = (next(slot, 1)[0] ?? Number.POSITIVE_INFINITY) - slot;
    return slot + Math.floor(fraction(`${schedule}\n${slot}`) * Math.min(jitterMs, gap));
  };
}

/** From 0 up to but not including 1. */
function fraction(text: string): number {
  return createHash("sha1").update(text).digest().readUInt32BE(0) / 2 ** 32;
}
