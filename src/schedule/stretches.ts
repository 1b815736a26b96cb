import type { KeptSchedule } from "../../streams/cron.ts";
import { type NextSlots, slotsOf } from "../define/pattern.ts";
import { patternText, type ScheduleContent } from "./definition.ts";

/** A stretch of time in which every slot of a pattern made a run. Slots in ms; both belong to it. */
export interface Stretch {
  readonly from: number;
  readonly until: number;
  /** As `patternText` writes it. */
  readonly pattern: string;
}

/** Which slots of a schedule made runs, as far back as is known. */
export interface Past {
  /** Oldest first as they were noted, the one that still goes on included. */
  readonly stretches: readonly Stretch[];
  /** What lies before it was forgotten, in ms. */
  readonly knownFrom: number;
}

/** Reads what is kept of a schedule's past. Lines that nobody of ours has written are passed over. */
export function readPast({ past, since, fired }: KeptSchedule, content: ScheduleContent): Past {
  const isCut = past.startsWith("+");
  const lines = (isCut ? past.slice(1) : past).split("\n").flatMap(readLine);
  const current = since === undefined || fired === undefined ? [] : [{ from: since, until: fired }];
  const stretches = [...lines, ...current.map((one) => ({ ...one, pattern: patternText(content) }))];
  return { stretches, knownFrom: isCut ? (lines[0]?.from ?? Number.POSITIVE_INFINITY) : Number.NEGATIVE_INFINITY };
}

function readLine(line: string): Stretch[] {
  const [, from, until, pattern] = /^(\d+) (\d+) (.+)$/.exec(line) ?? [];
  return pattern === undefined ? [] : [{ from: Number(from), until: Number(until), pattern }];
}

/** What is noted of a stretch. */
export function stretchLine({ from, until, pattern }: Stretch): string {
  return `${from} ${until} ${pattern}\n`;
}

/** What is kept once the pattern that held up to now has ended. */
export function endStretch<K extends KeptSchedule>(kept: K, pattern: string): K {
  const { since, fired } = kept;
  if (since === undefined || fired === undefined) return kept;
  return { ...kept, since: undefined, past: kept.past + stretchLine({ from: since, until: fired, pattern }) };
}

/** Tells whether a slot made a run; one from before all that is known is taken to have. */
export function firedIn({ stretches, knownFrom }: Past): (slot: number) => boolean {
  const walks = new Map<string, NextSlots>();
  const walkOf = (pattern: string) => {
    const [expression = "", timezone = "UTC"] = pattern.split("\t");
    const walk = walks.get(pattern) ?? slotsOf({ expression, timezone });
    walks.set(pattern, walk);
    return walk;
  };
  return (slot) => {
    if (slot < knownFrom) return true;
    const around = stretches.filter(({ from, until }) => from <= slot && slot <= until);
    return around.some(({ pattern }) => walkOf(pattern)(slot - 1, 1)[0] === slot);
  };
}

/** The last slot before one that made a run, as far as is known; undefined: none. */
export function firedBefore({ stretches }: Past, slot: number): number | undefined {
  const ends = stretches.flatMap(({ from, until, pattern }) => {
    if (from >= slot) return [];
    if (until < slot) return [until];
    const [expression = "", timezone = "UTC"] = pattern.split("\t");
    return slotsOf({ expression, timezone })(from - 1, MOST_WALKED)
      .filter((one) => one < slot)
      .slice(-1);
  });
  return ends.length === 0 ? undefined : Math.max(...ends);
}

/** A slot inside a stretch of another pattern is rare, and looked for so far and no further. */
const MOST_WALKED = 10_000;
