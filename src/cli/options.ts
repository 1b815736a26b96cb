import { type Command, InvalidArgumentError } from "commander";
import { isKeyPart } from "../../streams/keys.ts";
import { type Duration, readDuration } from "../define/duration.ts";

/** Adds `--json` to a listing. */
export function jsonOption(command: Command): Command {
  return command.option("--json", "prints one JSON document a line (NDJSON); instants in ms since 1970");
}

/** Reads how many are to be listed. */
export const positiveCount: (text: string) => number = countUpTo(1_000_000);

/** Makes a reader of whole numbers from 1 to `most`. */
export function countUpTo(most: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= 1 && value <= most) return value;
    throw new InvalidArgumentError(`It is a whole number from 1 to ${most}.`);
  };
}

/** Reads a duration, as in `30s`, to milliseconds. */
export function durationOption(text: string): number {
  const reading = readDuration(text);
  if ("problem" in reading) throw new InvalidArgumentError(`${reading.problem}.`);
  return reading.ms;
}

/** Checks a duration, as in `30s`, and leaves it as it is. */
export function durationText(text: string): Duration {
  durationOption(text);
  return text as Duration;
}

/** Reads an instant: how long ago, as in `10m`, or an ISO 8601 date and time. Gives ms since 1970. */
export function instantOption(text: string): number {
  const reading = readDuration(text);
  if (!("problem" in reading)) return Date.now() - reading.ms;
  const at = /^\d{4}-\d\d-\d\d/.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(at))
    throw new InvalidArgumentError('It is a time such as "10m" (ago), or an instant such as "2031-05-04T12:00:00Z".');
  return at;
}

/** Reads names of queues, separated by commas; may be given more than once. */
export function queuesOption(text: string, before: readonly string[] = []): readonly string[] {
  const names = text.split(",").map((name) => name.trim());
  for (const name of names) {
    if (!isKeyPart(name)) throw new InvalidArgumentError(`"${name}" cannot be the name of a queue.`);
  }
  return [...before, ...names];
}

/** Gathers values of an option that may be given more than once, or with commas. */
export function listOption(text: string, before: readonly string[] = []): readonly string[] {
  return [...before, ...text.split(",").map((one) => one.trim())];
}
