import { invalidOption } from "../errors.ts";

/** A length of time with its unit: `"250ms"`, `"30s"`, `"5m"`, `"6h"`, `"7d"`. Zero or more, at most 365 days; checked where it is given. */
export type Duration = `${number}ms` | `${number}s` | `${number}m` | `${number}h` | `${number}d`;

const unitMs: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };
/** The longest duration, 365 days, in ms. */
export const LONGEST_MS = 365 * 86_400_000;

const unitsByWord: Readonly<Record<string, string>> = {
  millisecond: "ms",
  milliseconds: "ms",
  msec: "ms",
  msecs: "ms",
  millis: "ms",
  second: "s",
  seconds: "s",
  sec: "s",
  secs: "s",
  minute: "m",
  minutes: "m",
  min: "m",
  mins: "m",
  hour: "h",
  hours: "h",
  hr: "h",
  hrs: "h",
  day: "d",
  days: "d",
};

/** A duration read: its length in whole milliseconds, or what is wrong with it. */
export type DurationReading = { readonly ms: number } | { readonly problem: string };

/** Reads a duration without throwing. The number is whatever `Number()` takes, since users build it as `${2 ** n}s`. */
export function readDuration(value: unknown): DurationReading {
  if (typeof value === "number") {
    return { problem: `${value} has no unit: write "${value}ms", "${value}s", or another of ms, s, m, h, d` };
  }
  if (typeof value !== "string") return { problem: `a ${nameOfType(value)} is no duration: write one as in "30s"` };
  const unit = value.endsWith("ms") ? "ms" : value.slice(-1);
  const perUnit = Object.hasOwn(unitMs, unit) ? unitMs[unit] : undefined;
  const digits = value.slice(0, -unit.length).trim();
  const amount = digits === "" ? Number.NaN : Number(digits);
  if (perUnit === undefined || Number.isNaN(amount)) return { problem: `"${cut(value)}" is no duration${hint(value)}` };
  if (amount < 0) return { problem: `"${cut(value)}" is negative: a duration is zero or more` };
  const ms = Math.round(amount * perUnit);
  if (ms > LONGEST_MS) return { problem: `"${cut(value)}" is longer than 365 days, the longest duration` };
  return { ms };
}

function hint(value: string): string {
  const wordy = /^\s*([\d.]+)\s*([a-z]{1,12})\s*$/i.exec(value);
  const word = wordy?.[2]?.toLowerCase() ?? "";
  const unit = Object.hasOwn(unitsByWord, word) ? unitsByWord[word] : Object.hasOwn(unitMs, word) ? word : undefined;
  if (wordy !== null && unit !== undefined) return `: did you mean "${wordy[1]}${unit}"?`;
  if (value.trim() !== "" && !Number.isNaN(Number(value))) return `: its unit is missing, as in "${value.trim()}s"`;
  return `: write a number and a unit (ms, s, m, h, d), as in "250ms", "30s", "5m", "6h" or "7d"`;
}

function cut(text: string): string {
  return text.length > 40 ? `${text.slice(0, 40)}…` : text;
}

function nameOfType(value: unknown): string {
  return value === null ? "null" : value instanceof Date ? "Date" : typeof value;
}

/** The length of a duration in whole milliseconds. Throws InvalidOption, with the option's name, when it is none. */
export function durationMs(value: Duration, option: string): number {
  const reading = readDuration(value);
  if ("problem" in reading) throw invalidOption(option, reading.problem);
  return reading.ms;
}

/** The same for `lockTtl`, of which a number is meant in seconds. */
export function secondsMs(value: number | Duration, option: string): number {
  if (typeof value !== "number") return durationMs(value, option);
  const ms = Math.round(value * 1_000);
  if (!(ms >= 0 && ms <= LONGEST_MS))
    throw invalidOption(option, `${value} is not a number of seconds from 0 to 365 days`);
  return ms;
}

/** A duration from text, such as an environment variable. Throws InvalidOption when it is none. */
export function duration(text: string): Duration {
  durationMs(text as Duration, "duration");
  return text as Duration;
}
