import type { KeptSchedule } from "../../streams/cron.ts";
import { slotsOf } from "../define/pattern.ts";
import { invalidOption } from "../errors.ts";
import { type Definition, isResting, patternText } from "./definition.ts";
import { startOf } from "./misfire.ts";
import { newestIn, type Range, slotsIn } from "./slots.ts";
import { firedBefore, firedIn, readPast, stretchLine } from "./stretches.ts";

/** Most slots of one backfill. */
export const MOST_BACKFILLED = 10_000;
/** Most slots of a range that are looked at: some two years of a slot a minute. */
const MOST_WALKED = 1_000_000;

/** A slot that did not fire. */
export interface Gap {
  readonly slot: number;
  /** The last slot before it that made a run, or is to; undefined: none is known. */
  readonly previous: number | undefined;
  /** Part of its run's id. 0 for a slot that was this schedule's own; else the schedule's beginning: one of the same id may have been there before. */
  readonly rerun: number;
}

/** What a search for gaps goes by. Instants in ms; both ends belong to the range. */
export interface Search {
  readonly kept: KeptSchedule;
  readonly definition: Definition;
  readonly from: number;
  readonly until: number;
  readonly nowMs: number;
}

/**
 * The slots of a range that did not fire, oldest first; not those that the schedule has yet to decide on by itself. Pure.
 * Throws InvalidOption when there are too many, or when a paused schedule has yet to decide on some.
 */
export function gapsIn({ kept, definition, from, until, nowMs }: Search): Gap[] {
  const { content, changedAt } = definition;
  const slots = slotsOf(content);
  const decided = startOf({ rules: content, standing: kept, changedAt });
  const asked = Math.min(until, nowMs, content.endsAtMs ?? Number.POSITIVE_INFINITY);
  const range: Range = {
    after: Math.max(from, content.startsAtMs ?? Number.NEGATIVE_INFINITY) - 1,
    until: Math.min(asked, decided),
  };
  if (isResting(definition) && newestIn(slots, { after: Math.max(decided, from - 1), until: asked }, 1).length > 0) {
    const since = new Date(decided).toISOString();
    throw invalidOption("until", `it is paused, and will decide on what has passed since ${since} when it is resumed`);
  }
  const past = readPast(kept, content);
  const hasFired = firedIn(past);
  const open = slotsIn(slots, range, MOST_WALKED).filter((slot) => !hasFired(slot));
  if (open.length > MOST_BACKFILLED) {
    throw invalidOption(
      "until",
      `the range holds ${open.length} slots that did not fire, and ${MOST_BACKFILLED} at most are filled at once`,
    );
  }
  const { createdAt = changedAt } = definition;
  return open.map((slot, index) => {
    const before = [open[index - 1], firedBefore(past, slot)].filter((one) => one !== undefined);
    const previous = before.length === 0 ? undefined : Math.max(...before);
    return { slot, previous, rerun: slot <= createdAt ? Math.round(createdAt) : 0 };
  });
}

/** What is noted of the past once gaps have been filled. */
export function pastWith({ kept, definition }: Pick<Search, "kept" | "definition">, gaps: readonly Gap[]): string {
  const slots = slotsOf(definition.content);
  const pattern = patternText(definition.content);
  const filled: { from: number; until: number }[] = [];
  for (const { slot } of gaps) {
    const last = filled.at(-1);
    if (last !== undefined && slots(last.until, 1)[0] === slot) last.until = slot;
    else filled.push({ from: slot, until: slot });
  }
  return kept.past + filled.map((one) => stretchLine({ ...one, pattern })).join("");
}
