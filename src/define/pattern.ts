import { CronExpressionParser } from "cron-parser";
import { invalidOption, type TasktrailError } from "../errors.ts";
import { CRON_FIELDS, type CronField, problemOfField, withoutRepeats } from "./cron-field.ts";
import { shown } from "./options.ts";
import { checkTimezone } from "./timezone.ts";
import { walkSlots } from "./walk-slots.ts";
import { wallTimes } from "./wall-times.ts";
import { openZone } from "./zone.ts";

/** When something fires: five fields, and the zone whose clocks they mean. */
export interface Pattern {
  readonly expression: string;
  /** IANA name. */
  readonly timezone: string;
}

const LONGEST_EXPRESSION = 256;
const FIVE_FIELDS = "a cron expression has five fields: minute, hour, day of month, month, day of week";
// Any instant will do to see whether a pattern ever fires; a constant keeps the check free of clocks.
const SOME_INSTANT = Date.UTC(2024, 0, 1);

const macros: Readonly<Record<string, string>> = {
  "@yearly": "0 0 1 1 *",
  "@annually": "0 0 1 1 *",
  "@monthly": "0 0 1 * *",
  "@weekly": "0 0 * * 0",
  "@daily": "0 0 * * *",
  "@midnight": "0 0 * * *",
  "@hourly": "0 * * * *",
  "@minutely": "* * * * *",
};

/** Checks an expression and its zone. Throws InvalidOption that shows the expression, with the mistake marked below it. */
export function readPattern(expression: unknown, timezone: unknown): Pattern {
  const fields = fieldsOf(expression);
  const zone = checkTimezone(timezone);
  for (const [index, field] of CRON_FIELDS.entries()) {
    const problem = problemOfField(fields[index] as string, field);
    if (problem !== undefined) throw invalidExpression(problem, fields, [index]);
  }
  const pattern = { expression: fields.join(" "), timezone: zone };
  checkWithParser(pattern, fields);
  return pattern;
}

function fieldsOf(expression: unknown): string[] {
  if (typeof expression !== "string")
    throw invalidOption("expression", `${shown(expression)} is not text: ${FIVE_FIELDS}`);
  const text = expression.trim();
  if (text === "") throw invalidOption("expression", `it is empty: ${FIVE_FIELDS}`);
  if (text.length > LONGEST_EXPRESSION) {
    throw invalidOption("expression", `it has ${text.length} characters, and at most ${LONGEST_EXPRESSION} are read`);
  }
  if (text.startsWith("@")) throw invalidOption("expression", macroProblem(text));
  const fields = text.split(/\s+/);
  if (fields.length === 5) return fields;
  if (fields.length === 6) {
    const rest = fields.slice(1).join(" ");
    throw invalidExpression(
      `six fields: seconds are not supported. Did you mean "${rest}"? ${FIVE_FIELDS}`,
      fields,
      [0],
    );
  }
  throw invalidOption("expression", `"${fields.join(" ")}" has ${fields.length}: ${FIVE_FIELDS}`);
}

function macroProblem(text: string): string {
  const macro = macros[text.toLowerCase()];
  if (macro !== undefined) return `"${text}" is a macro: write "${macro}"`;
  const every = /^@every\s+(\d+)\s*([smhd])/i.exec(text);
  const amount = every?.[1] ?? "5";
  if (every?.[2]?.toLowerCase() === "h") return `"${text}" is a macro: write "0 */${amount} * * *"`;
  if (every !== null)
    return `"${text}" is a macro: write "*/${amount} * * * *", which is minutes; seconds are not supported`;
  if (text.toLowerCase() === "@reboot") return '"@reboot" names no time: call trigger() where the process starts';
  return `"${text}" is not known: ${FIVE_FIELDS}`;
}

function checkWithParser(pattern: Pattern, fields: readonly string[]): void {
  try {
    CronExpressionParser.parse(forParser(fields), { tz: pattern.timezone });
  } catch (error) {
    const faulty = CRON_FIELDS.findIndex((_, index) => !isParsed(fields, index));
    const reason = error instanceof Error ? error.message : String(error);
    if (faulty < 0) throw invalidExpression(neverProblem(fields), fields, [2, 3]);
    throw invalidExpression(`${(CRON_FIELDS[faulty] as CronField).name}: ${reason}`, fields, [faulty]);
  }
  if (nextSlots(pattern, SOME_INSTANT, 1).length === 0) throw invalidExpression(neverProblem(fields), fields, [2, 3]);
}

function forParser(fields: readonly string[]): string {
  return fields.map((field, index) => withoutRepeats(field, CRON_FIELDS[index] as CronField)).join(" ");
}

/** Whether one field is right when nothing is said about the others. */
function isParsed(fields: readonly string[], index: number): boolean {
  try {
    CronExpressionParser.parse(forParser(fields.map((field, at) => (at === index ? field : "*"))));
    return true;
  } catch {
    return false;
  }
}

function neverProblem(fields: readonly string[]): string {
  return `it never fires: month ${fields[3]} has no day ${fields[2]}`;
}

function invalidExpression(problem: string, fields: readonly string[], faulty: readonly number[]): TasktrailError {
  const marks = fields.map((field, index) => (faulty.includes(index) ? "^" : " ").repeat(field.length));
  const drawing = `  ${fields.join(" ")}\n  ${marks.join(" ").trimEnd()}`;
  return invalidOption("expression", `${problem}\n${drawing}`, { details: { expression: fields.join(" ") } });
}

/** Gives the next slots after an instant, in ms, soonest first: fewer than `count` when it has no more. */
export type NextSlots = (afterMs: number, count: number) => number[];

/** The slots of a pattern, by the fields as cron-parser reads them. What `walkSlots` says of clocks that are changed holds. */
export function slotsOf({ expression, timezone }: Pattern): NextSlots {
  const { fields } = CronExpressionParser.parse(forParser(expression.split(" ")));
  const times = wallTimes(fields, expression);
  const zone = openZone(timezone);
  return (afterMs, count) => walkSlots(times, zone, afterMs).take(count).toArray();
}

/** The next instants after `afterMs`, in ms, soonest first. */
export function nextSlots(pattern: Pattern, afterMs: number, count: number): number[] {
  return slotsOf(pattern)(afterMs, count);
}
