import { wordsOf } from "../errors.ts";

/** What does not survive JSON: where it is, and a sentence that begins with that. */
export interface Culprit {
  readonly path: string;
  readonly problem: string;
  readonly cause?: unknown;
}

/** Where the search stands. */
interface Search {
  readonly path: string;
  /** How many levels are allowed. */
  readonly deepest: number;
  /** Counts down by at least the bytes that a value takes; below zero, the search is given up. */
  readonly budget: { left: number };
  /** Paths of the objects that hold this one; one map for the whole search. */
  readonly holders?: Map<object, string>;
}

/** The first thing in a value that does not survive JSON. Thorough and slow: for when it is known, or suspected, that there is one. */
export function culpritIn(value: unknown, search: Search): Culprit | undefined {
  const { path, budget } = search;
  budget.left -= 1;
  if (budget.left < 0) return undefined;
  if (typeof value === "string") return culpritInText(value, search);
  if (typeof value === "object" && value !== null) return culpritInObject(value, search);
  const lost = lostScalar(value);
  return lost === undefined ? undefined : { path, problem: `${path} is ${lost}` };
}

function lostScalar(value: unknown): string | undefined {
  if (typeof value === "number" && !Number.isFinite(value)) return `${value}, which JSON has not: use null`;
  if (typeof value === "bigint") return "a bigint, which JSON has not: use a string";
  if (typeof value === "symbol") return "a symbol, which JSON has not";
  if (typeof value === "function") return "a function, which JSON has not";
  return value === undefined ? "undefined, which JSON has not: use null" : undefined;
}

function culpritInText(text: string, { path, budget }: Search): Culprit | undefined {
  budget.left -= text.length;
  const problem = problemOfText(text);
  return problem === undefined ? undefined : { path, problem: `${path} ${problem}` };
}

function problemOfText(text: string): string | undefined {
  if (text.includes("\0")) return "holds U+0000, which Postgres cannot store: remove it";
  if (!text.isWellFormed())
    return "holds half of a surrogate pair, which is no text: cut between characters, or use toWellFormed()";
  return undefined;
}

function culpritInObject(value: object, search: Search): Culprit | undefined {
  const { path, deepest, holders = new Map<object, string>() } = search;
  const holder = holders.get(value);
  if (holder !== undefined) return { path, problem: `${path} is ${holder} again: a cycle, which JSON has not` };
  if (holders.size >= deepest) return { path, problem: `${path} is deeper than ${deepest} levels` };
  const lost = Array.isArray(value) ? undefined : lostObject(value);
  if (lost !== undefined) return { path, problem: `${path} is ${lost}` };
  holders.set(value, path);
  const inside = { ...search, holders };
  for (const key of Array.isArray(value) ? value.keys() : Object.keys(value)) {
    const culprit = culpritInMember(value as Record<string, unknown>, key, inside);
    if (culprit !== undefined) return culprit;
  }
  holders.delete(value);
  return undefined;
}

function culpritInMember(owner: Record<string, unknown>, key: string | number, search: Search): Culprit | undefined {
  const path = pathTo(search.path, key);
  let member: unknown;
  try {
    member = owner[key];
  } catch (cause) {
    return { path, problem: `${path} throws when it is read: ${wordsOf(cause)}`, cause };
  }
  if (typeof key === "number") return culpritIn(member, { ...search, path });
  if (member === undefined) return undefined;
  if (isForbidden(key, member))
    return { path, problem: `${path} is a key that could change prototypes where it is merged` };
  const problem = problemOfText(key);
  if (problem !== undefined) return { path, problem: `a key of ${search.path} ${problem}` };
  search.budget.left -= key.length;
  return culpritIn(member, { ...search, path });
}

/** By tag and not by `instanceof`, so that values of another realm are known as well. */
const lostByTag: Readonly<Record<string, string>> = {
  Date: "a Date, which JSON has not: use a string, as date.toISOString() gives",
  Map: "a Map, which JSON has not: use an object, as Object.fromEntries(map) gives",
  Set: "a Set, which JSON has not: use an array, as [...set] gives",
  RegExp: "a RegExp, which JSON has not: use its source",
  Error: "an Error, of which JSON keeps nothing: use its message",
  Promise: "a promise: await it",
  ArrayBuffer: "binary, which JSON has not: store it and pass a reference",
  SharedArrayBuffer: "binary, which JSON has not: store it and pass a reference",
  URL: "a URL, which JSON has not: use its href",
  WeakMap: "a WeakMap, which JSON has not",
  WeakSet: "a WeakSet, which JSON has not",
};

function lostObject(value: object): string | undefined {
  const tag = Object.prototype.toString.call(value).slice("[object ".length, -1);
  if (ArrayBuffer.isView(value)) return lostByTag["ArrayBuffer"];
  if (Object.hasOwn(lostByTag, tag)) return lostByTag[tag];
  const prototype = Object.getPrototypeOf(value) as object | null;
  if (prototype === null || isObjectPrototype(prototype)) return undefined;
  return lostInstance(value, prototype);
}

/** `Object.prototype`, of this realm or of another (a test runner's). */
function isObjectPrototype(prototype: object): boolean {
  return Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype, "hasOwnProperty");
}

/** An instance with nothing but data travels; one with methods would come back without them. */
function lostInstance(value: object, prototype: object): string | undefined {
  const name = (value.constructor as { readonly name?: unknown } | undefined)?.name;
  const what = typeof name === "string" && name !== "" ? `an instance of ${name}` : "an instance of a class";
  if ("then" in value && typeof value.then === "function") return `${what}, and can be awaited: await it`;
  if ("toJSON" in value && typeof value.toJSON === "function") return `${what}: pass what its toJSON() gives`;
  for (let one: object | null = prototype; one !== null && !isObjectPrototype(one); one = Object.getPrototypeOf(one)) {
    const lost = Object.getOwnPropertyNames(one).find((key) => key !== "constructor");
    if (lost !== undefined) return `${what}, whose ${lost} JSON would lose: pass its data`;
  }
  return undefined;
}

function isForbidden(key: string, member: unknown): boolean {
  if (key === "__proto__") return true;
  return key === "constructor" && typeof member === "object" && member !== null && Object.hasOwn(member, "prototype");
}

/** The path of the first key that could change prototypes where it is merged. `value` came from JSON. */
export function forbiddenKeyIn(value: unknown, path: string): string | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  for (const [key, member] of Object.entries(value)) {
    const inside = pathTo(path, Array.isArray(value) ? Number(key) : key);
    if (!Array.isArray(value) && isForbidden(key, member)) return inside;
    const found = forbiddenKeyIn(member, inside);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** `input.rows[3].at`, and brackets for keys that are no identifiers. */
export function pathTo(path: string, key: PropertyKey): string {
  if (typeof key === "number") return `${path}[${key}]`;
  const text = String(key);
  return /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u.test(text) ? `${path}.${text}` : `${path}[${JSON.stringify(text)}]`;
}
