import { createHash } from "node:crypto";
import type { NextSlots } from "../define/pattern.ts";

/** A stretch of time, in ms: `after` does not belong to it, `until` does. */
export interface Range {
  readonly after: number;
  readonly until: number;
}

/** The slots in a range, oldest first; at most `most` of them. Walks little further than the range. */
export function slotsIn(next: NextSlots, { after, until }: Range, most: number): number[] {
  const found: number[] = [];
  let wanted = 2;
  while (found.length < most && (found.at(-1) ?? after) < until) {
    const asked = Math.min(wanted, most - found.length);
    const more = next(found.at(-1) ?? after, asked);
    const inside = more.filter((slot) => slot <= until);
    found.push(...inside);
    if (inside.length < asked) break;
    wanted = Math.min(wanted * 4, 4_096);
  }
  return found;
}

/** Slots that are looked up ahead: a walk finds several about as fast as one. */
const AHEAD = 8;

/** Looks slots up some at a time, and gives them out of what it has: a schedule that fires asks for the same few again and again. */
export function remembering(next: NextSlots): NextSlots {
  let from = Number.POSITIVE_INFINITY;
  let found: number[] = [];
  return (after, count) => {
    if (count > AHEAD) return next(after, count);
    const index = after < from ? -1 : found.findIndex((slot) => slot > after);
    if (index >= 0 && index + count <= found.length) return found.slice(index, index + count);
    from = after;
    found = next(after, AHEAD);
    return found.slice(0, count);
  };
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
