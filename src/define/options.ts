import { invalidOption, isTasktrailError, TasktrailError } from "../errors.ts";
import { didYouMean } from "./spelling.ts";

/** Words for options that users of other tools, or of later versions, would try. */
export type Notes = Readonly<Record<string, string>>;

/** Throws InvalidOption for an option that does not exist, with what was probably meant. `owner` is as in `task "a"`. */
export function checkKeys(owner: string, given: object, allowed: readonly string[], notes: Notes = {}): void {
  for (const key of Object.keys(given)) {
    if (allowed.includes(key)) continue;
    const note = Object.hasOwn(notes, key) ? `: ${notes[key]}` : didYouMean(key, allowed);
    throw invalidOption(key, `${owner} has no such option${note}`);
  }
}

/** Throws InvalidOption unless it is an object of options. */
export function checkObject(option: string, value: unknown): void {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw invalidOption(option, `takes an object of options, and not ${value === null ? "null" : typeof value}`);
  }
}

/** A whole number from `least` to `most`. Throws InvalidOption. */
export function wholeNumber(option: string, value: unknown, range: { least: number; most: number }): number {
  if (typeof value !== "number" || !Number.isInteger(value) || value < range.least || value > range.most) {
    throw invalidOption(option, `${shown(value)} is not a whole number from ${range.least} to ${range.most}`);
  }
  return value;
}

/** One of a few words. Throws InvalidOption, with what was probably meant. */
export function oneOf<const Word extends string>(option: string, value: unknown, words: readonly Word[]): Word {
  if (typeof value === "string" && (words as readonly string[]).includes(value)) return value as Word;
  const hint = typeof value === "string" ? didYouMean(value, words) : "";
  throw invalidOption(option, `${shown(value)} is none of ${words.map((word) => `"${word}"`).join(", ")}${hint}`);
}

/** An instant in ms. Throws InvalidOption for what is no valid Date. */
export function instantMs(option: string, value: unknown): number {
  const ms = value instanceof Date ? value.getTime() : Number.NaN;
  if (Number.isNaN(ms)) throw invalidOption(option, `${shown(value)} is not a valid Date`);
  return ms;
}

/** A value as a message shows it: short, and in quotes when it is text. */
export function shown(value: unknown): string {
  if (typeof value === "string") return `"${value.length > 60 ? `${value.slice(0, 60)}…` : value}"`;
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? "an invalid Date" : value.toISOString();
  if (typeof value === "object" && value !== null) return Array.isArray(value) ? "an array" : "an object";
  return typeof value === "function" ? "a function" : String(value);
}

/** Puts the owner's name before what `check` throws, so that a mistake among hundreds of tasks is found. */
export function within<T>(owner: string, check: () => T): T {
  try {
    return check();
  } catch (error) {
    if (!isTasktrailError(error, "invalid_option") || error.details["owner"] !== undefined) throw error;
    throw new TasktrailError("invalid_option", `${owner}: ${error.message}`, { details: { ...error.details, owner } });
  }
}
