import { isDeepStrictEqual } from "node:util";
import { type Place, toJson, tryJson } from "./json.ts";
import type { AnySchema } from "./schema.ts";

/** What travels: its JSON, empty for undefined, and the value that the JSON says. */
export interface Encoded {
  readonly json: string;
  readonly value: unknown;
}

/** A value that has been parsed, and how to write it. */
export interface Candidate {
  readonly schema: AnySchema;
  readonly given: unknown;
  readonly parsed: unknown;
  readonly place: Place;
  readonly maxBytes: number;
}

/**
 * What is sent of a parsed value. It has to give the same when it is parsed again, at the other end; of what does, the first of:
 * 1. the parsed value encoded by its schema (zod from 4.1 on): defaults in, unknown keys dropped, codecs encoded;
 * 2. the parsed value, when parsing it again changes nothing: the same for other libraries;
 * 3. the value as it was given, for schemas that go one way only.
 * Throws NotJson or TooLarge for the given value when none can travel.
 */
export function travelling(candidate: Candidate): Encoded | Promise<Encoded> {
  const { schema, parsed } = candidate;
  if (schema["~standard"].vendor === "tasktrail") return asGiven(candidate);
  return after(encodeBackward(schema, parsed), (encoded) => {
    const first = encoded === undefined ? undefined : asEncoded(candidate, encoded.value);
    if (first !== undefined) return first;
    return after(schema["~standard"].validate(parsed), (again) => {
      const isStable = again.issues === undefined && isDeepStrictEqual(again.value, parsed);
      return (isStable ? asEncoded(candidate, parsed) : undefined) ?? asGiven(candidate);
    });
  });
}

function asGiven({ given, place, maxBytes }: Candidate): Encoded {
  return { json: toJson(given, place, maxBytes), value: given };
}

function asEncoded({ place, maxBytes }: Candidate, value: unknown): Encoded | undefined {
  const json = tryJson(value, place, maxBytes);
  return json === undefined ? undefined : { json, value };
}

/** What we use of zod 4, as `zod/v4/core` documents it for authors of libraries: the user's copy need not be ours. */
interface ZodInside {
  readonly version?: { readonly major: number; readonly minor: number };
  run(payload: ZodPayload, context: { async: boolean; direction: "backward" }): ZodPayload | Promise<ZodPayload>;
}
interface ZodPayload {
  readonly value: unknown;
  readonly issues: readonly unknown[];
}

type Backward = { readonly value: unknown } | undefined;

/** The value as its schema encodes it; undefined when that schema cannot encode, or not this value. */
function encodeBackward(schema: AnySchema, value: unknown): Backward | Promise<Backward> {
  const inside = (schema as { readonly _zod?: ZodInside })._zod;
  // Versions before 4.1 know no direction, and would parse a second time.
  const { major, minor } = inside?.version ?? { major: 0, minor: 0 };
  if (inside === undefined || major < 4 || (major === 4 && minor < 1)) return undefined;
  try {
    const payload = inside.run({ value, issues: [] }, { async: false, direction: "backward" });
    if (!isPromise(payload)) return toBackward(payload);
    payload.catch(() => {}); // asked again below, with leave to take its time
  } catch (error) {
    if (isOneWay(error)) return undefined;
  }
  return encodeBackwardLater(inside, value);
}

async function encodeBackwardLater(inside: ZodInside, value: unknown): Promise<Backward> {
  try {
    return toBackward(await inside.run({ value, issues: [] }, { async: true, direction: "backward" }));
  } catch (error) {
    if (isOneWay(error)) return undefined;
    throw error;
  }
}

function toBackward({ issues, value }: ZodPayload): Backward {
  return issues.length === 0 ? { value } : undefined;
}

function isOneWay(error: unknown): boolean {
  return error instanceof Error && error.name === "ZodEncodeError";
}

/** Goes on at once where there is nothing to wait for, so that what is synchronous stays so. */
export function after<T, R>(value: T | Promise<T>, next: (value: T) => R | Promise<R>): R | Promise<R> {
  return isPromise(value) ? value.then(next) : next(value);
}

/** True for what can be awaited. */
export function isPromise<T>(value: T | Promise<T>): value is Promise<T> {
  return typeof value === "object" && value !== null && "then" in value && typeof value.then === "function";
}
