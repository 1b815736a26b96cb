import { wordsOf } from "../errors.ts";
import { type Culprit, culpritIn, forbiddenKeyIn } from "./json-culprit.ts";
import { notJson, tooLarge } from "./payload-errors.ts";

/** What is being encoded, for messages: `name` is what paths begin with, `owner` whose it is. */
export interface Place {
  readonly name: "input" | "result" | "data";
  /** As in `task "resize"`. */
  readonly owner: string;
}

// So far beyond the limit, a value is not even written: what unfolds without end has to stop somewhere.
const GIVE_UP = 8;

/** Deeper than this, a value is taken for a mistake; a cycle is deeper than anything. */
export const DEEPEST = 100;

// U+0000 and halves of surrogate pairs, which Postgres refuses, always come out of JSON.stringify as these escapes. Text may
// hold them for other reasons, as C:\\udata does, so that a hit is a suspicion and no proof.
function isSuspicious(json: string): boolean {
  // In a row, and by characters that are rare: this is asked of every input.
  return (
    json.includes("\\u0000") || json.includes("\\ud") || json.includes('__proto__"') || json.includes('constructor"')
  );
}

/**
 * The JSON of a value that survives it; empty text for undefined, for which JSON has no word.
 * Throws NotJson, with the path of the culprit, for what would be lost, changed, or refused further on; TooLarge past `maxBytes`.
 * Properties that are undefined are left out.
 */
export function toJson(value: unknown, place: Place, maxBytes: number): string {
  if (value === undefined) return "";
  const budget = { left: maxBytes * GIVE_UP };
  if (!isEvidentlyFine(value, budget)) {
    if (budget.left < 0) throw tooLarge(whatOf(place), { maxBytes });
    inspect(value, place, maxBytes);
  }
  const json = stringify(value, place);
  if (isSuspicious(json)) inspect(value, place, maxBytes);
  // A UTF-16 unit takes one to three bytes, so that most texts need no counting.
  if (json.length * 3 <= maxBytes) return json;
  const bytes = Buffer.byteLength(json);
  if (bytes > maxBytes) throw tooLarge(whatOf(place), { bytes, maxBytes });
  return json;
}

/** The JSON of a value, or undefined when it does not survive it. For candidates of which one is good enough. */
export function tryJson(value: unknown, place: Place, maxBytes: number): string | undefined {
  try {
    return toJson(value, place, maxBytes);
  } catch {
    return undefined;
  }
}

function whatOf({ name, owner }: Place): string {
  return `${name} of ${owner}`;
}

function stringify(value: unknown, { name, owner }: Place): string {
  try {
    return JSON.stringify(value);
  } catch (cause) {
    throw notJson(`${name} cannot be written as JSON: ${wordsOf(cause)}`, { path: name, owner }, cause);
  }
}

/** The thorough look, when the quick one has doubts. Throws for what it finds; returns when all is well after all. */
function inspect(value: unknown, { name, owner }: Place, maxBytes: number): void {
  const budget = { left: maxBytes * GIVE_UP };
  const culprit = search(value, name, budget);
  if (culprit !== undefined) throw notJson(culprit.problem, { path: culprit.path, owner }, culprit.cause);
  if (budget.left < 0) throw tooLarge(whatOf({ name, owner }), { maxBytes });
}

function search(value: unknown, path: string, budget: { left: number }): Culprit | undefined {
  try {
    return culpritIn(value, { path, deepest: DEEPEST, budget });
  } catch (cause) {
    return { path, problem: `${path} cannot be read: ${wordsOf(cause)}`, cause }; // a proxy, or worse
  }
}

function isEvidentlyFine(value: unknown, budget: { left: number }): boolean {
  try {
    return isFine(value, 0, budget);
  } catch {
    return false; // a getter has thrown: the thorough look names it
  }
}

/**
 * The quick look, which nearly every value passes. Texts are not looked into: their JSON is.
 * The budget, of a byte or more for each value, ends the walk through what is too large in any case, or unfolds without end.
 */
function isFine(value: unknown, depth: number, budget: { left: number }): boolean {
  budget.left -= 1;
  switch (typeof value) {
    case "string":
      budget.left -= value.length;
      return budget.left >= 0;
    case "number":
      return Number.isFinite(value);
    case "boolean":
      return true;
    case "object":
      return value === null || (depth < DEEPEST && budget.left >= 0 && areMembersFine(value, depth + 1, budget));
    default:
      return false;
  }
}

function areMembersFine(value: object, depth: number, budget: { left: number }): boolean {
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index++) if (!isFine(value[index], depth, budget)) return false;
    return true;
  }
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return false;
  for (const key of Object.keys(value)) {
    const member = (value as Record<string, unknown>)[key];
    if (member !== undefined && !isFine(member, depth, budget)) return false;
  }
  return true;
}

/** The value behind a text that `toJson` made. Throws NotJson for what is no JSON, and for keys that could change prototypes. */
export function fromJson(json: string, { name, owner }: Place): unknown {
  if (json === "") return undefined;
  const value = parse(json, { name, owner });
  // JSON.parse makes own properties of such keys, which is harmless until someone merges the object into another.
  if (!/__proto__|constructor|\\u/.test(json)) return value;
  const path = forbiddenKeyIn(value, name);
  if (path === undefined) return value;
  throw notJson(`${path} is a key that could change prototypes where it is merged`, { path, owner });
}

function parse(json: string, { name, owner }: Place): unknown {
  try {
    return JSON.parse(json);
  } catch {
    // Without the parser's error as its cause: that one quotes the text, which may be secret.
    throw notJson(`${name} is not JSON: ${json.length} characters that cannot be read`, { path: name, owner });
  }
}
