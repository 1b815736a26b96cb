/** One of the five fields of a cron expression. */
export interface CronField {
  readonly name: string;
  readonly least: number;
  readonly most: number;
  /** How many different values there are: 7 and 0 are both Sunday. */
  readonly size: number;
  readonly words: readonly string[];
  /** The number that the first word stands for. */
  readonly firstWord: number;
}

const months = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const days = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/** The fields in their order. */
export const CRON_FIELDS: readonly CronField[] = [
  { name: "minute", least: 0, most: 59, size: 60, words: [], firstWord: 0 },
  { name: "hour", least: 0, most: 23, size: 24, words: [], firstWord: 0 },
  { name: "day of month", least: 1, most: 31, size: 31, words: [], firstWord: 0 },
  { name: "month", least: 1, most: 12, size: 12, words: months, firstWord: 1 },
  { name: "day of week", least: 0, most: 7, size: 7, words: days, firstWord: 0 },
];

/** What is wrong with the text of a field, as a sentence; undefined when nothing is. */
export function problemOfField(text: string, field: CronField): string | undefined {
  const items = text.split(",");
  if (items.length > 1 && items.includes("*"))
    return `${field.name}: a * beside other values: it means all of them already`;
  for (const item of items) {
    const problem = problemOfItem(item, field);
    if (problem !== undefined) return `${field.name}: ${problem}`;
  }
  return undefined;
}

function problemOfItem(item: string, field: CronField): string | undefined {
  const [range = "", step, ...more] = item.split("/");
  if (item === "") return "a value is missing beside a comma";
  if (more.length > 0) return `"${item}" has more than one /`;
  if (/^h/i.test(range)) {
    return `"${item}" is Jenkins' hash: write the value, or use \`jitter\``;
  }
  if (range === "?") return `"?" is Quartz's: write *`;
  const problem = problemOfStep(item, step, field);
  if (problem !== undefined || range === "*") return problem;
  if (step === undefined && isSpecial(range, field)) return undefined;
  return problemOfRange(range, field);
}

function problemOfStep(item: string, step: string | undefined, field: CronField): string | undefined {
  if (step === undefined) return undefined;
  if (!/^\d+$/.test(step)) return `"${item}" has no whole number after its /`;
  if (Number(step) === 0) return `"${item}" steps by 0, and so never moves on`;
  if (Number(step) < field.size) return undefined;
  return `"${item}" steps past the end: a step starts anew with each ${field.name === "minute" ? "hour" : "round"}, and so is less than ${field.size}`;
}

/** The last day of the month; the last or the nth such weekday of the month. */
function isSpecial(range: string, field: CronField): boolean {
  if (field.name === "day of month") return /^l$/i.test(range);
  if (field.name !== "day of week") return false;
  return /^([0-7]|sun|mon|tue|wed|thu|fri|sat)#[1-5]$/i.test(range) || /^[0-7]l$/i.test(range);
}

function problemOfRange(range: string, field: CronField): string | undefined {
  const bounds = range.split("-");
  if (bounds.length > 2) return `"${range}" is not a range`;
  const values: number[] = [];
  for (const bound of bounds) {
    const value = numberIn(bound, field);
    if (value === undefined)
      return `"${bound}" is ${bound === "" ? "missing: a range is written 1-5" : notValue(field)}`;
    if (value < field.least || value > field.most) return `${bound} is not from ${field.least} to ${field.most}`;
    values.push(value);
  }
  const [from = 0, to = from] = values;
  if (from <= to) return undefined;
  if (field.name === "day of week" && to === 0)
    return `"${range}" runs backwards: write ${from}-7, of which 7 is Sunday`;
  return `"${range}" runs backwards: write ${from}-${field.most},${field.least}-${to}`;
}

function notValue(field: CronField): string {
  const words = field.words.length === 0 ? "" : `, nor one of ${field.words.join(", ")}`;
  return `not a whole number${words}`;
}

function numberIn(text: string, field: CronField): number | undefined {
  if (/^\d{1,4}$/.test(text)) return Number(text);
  const index = field.words.indexOf(text.toLowerCase());
  return index < 0 ? undefined : index + field.firstWord;
}

/** The same field without values that its items name twice, as in 1-5,3-8: our parser takes each value once. */
export function withoutRepeats(text: string, field: CronField): string {
  const items = text.split(",");
  if (items.length === 1 || items.some((item) => isSpecial(item, field))) return text;
  const named = items.flatMap((item) => valuesOf(item, field));
  const values = new Set(named);
  return values.size === named.length ? text : [...values].sort((a, b) => a - b).join(",");
}

function valuesOf(item: string, field: CronField): number[] {
  const [range = "", step] = item.split("/");
  const bounds = range.split("-").map((bound) => numberIn(bound, field) ?? field.least);
  const last = field.least + field.size - 1;
  const from = range === "*" ? field.least : (bounds[0] as number);
  const to = range === "*" ? last : (bounds[1] ?? (step === undefined ? from : last));
  const values: number[] = [];
  for (let value = from; value <= to; value += Number(step ?? 1)) values.push(value % (last + 1) || field.least);
  return values;
}
