import { createHash } from "node:crypto";
import { inspect } from "node:util";
import type { RecordedError } from "../../streams/events.ts";

/** Most bytes of a message and of a stack that are kept. */
const MESSAGE_BYTES = 8_192;
const STACK_BYTES = 16_384;
/** How far a chain of causes is followed. */
const MOST_CAUSES = 5;

/** What a handler threw, whatever that was, as the ledger keeps it. Never throws: getters of an error may. */
export function recordError(thrown: unknown): RecordedError {
  const type = cleanText(typeOf(thrown), 200) || "Error";
  const message = cut(messageOf(thrown), MESSAGE_BYTES);
  const stack = cut(stackOf(thrown), STACK_BYTES);
  const code = read(thrown, "code");
  return {
    type,
    message: message.text,
    ...(stack.text === "" ? {} : { stack: stack.text }),
    ...(typeof code === "string" || typeof code === "number" ? { code: cleanText(String(code), 200) } : {}),
    fingerprint: fingerprint(type, message.text),
    ...(message.isCut || stack.isCut ? { truncated: true } : {}),
  };
}

/** Text that JSON, Redis and Postgres can carry, of at most so many bytes. */
export function cleanText(text: string, mostBytes: number): string {
  return cut(text, mostBytes).text;
}

/** The same for errors that differ in numbers, ids, paths and quoted names alone. */
export function fingerprint(type: string, message: string): string {
  const shape = message
    .slice(0, 500)
    .replace(/"[^"]*"|'[^']*'|`[^`]*`/g, "?")
    .replace(/[\w.+-]*[\\/][^\s,;:)]*/g, "/")
    .replace(/\b[0-9a-f]{8,}(-[0-9a-f]+)*\b/gi, "#")
    .replace(/\d+/g, "0")
    .replace(/\s+/g, " ");
  return createHash("sha1").update(`${type}\n${shape}`).digest("hex").slice(0, 16);
}

function typeOf(thrown: unknown): string {
  if (typeof thrown !== "object" || thrown === null) return thrown === null ? "null" : typeof thrown;
  const name = read(thrown, "name");
  const code = read(thrown, "code");
  // `Error` says nothing, and what the system reports is told apart by its code.
  if ((name === "Error" || typeof name !== "string") && typeof code === "string" && /^[A-Z][A-Z0-9_]{2,40}$/.test(code))
    return code;
  if (typeof name === "string" && name !== "") return name;
  const made = read(thrown, "constructor");
  const madeName = made === undefined ? undefined : read(made, "name");
  return typeof madeName === "string" ? madeName : "object";
}

function messageOf(thrown: unknown): string {
  if (typeof thrown === "string") return thrown;
  const message = read(thrown, "message");
  if (typeof message === "string") return message;
  try {
    return inspect(thrown, { depth: 2, customInspect: false, maxStringLength: 2_000, maxArrayLength: 20 });
  } catch {
    return "what was thrown cannot be shown";
  }
}

function stackOf(thrown: unknown): string {
  const seen = new Set<unknown>();
  const parts: string[] = [];
  for (
    let one: unknown = thrown;
    isObject(one) && !seen.has(one) && seen.size < MOST_CAUSES;
    one = read(one, "cause")
  ) {
    seen.add(one);
    const stack = read(one, "stack");
    if (typeof stack === "string") parts.push(cut(stack, STACK_BYTES).text);
    else if (seen.size > 1) parts.push(cut(messageOf(one), 1_000).text);
    else break;
  }
  return parts.join("\ncaused by: ");
}

function isObject(value: unknown): value is object {
  return (typeof value === "object" && value !== null) || typeof value === "function";
}

function read(from: unknown, property: string): unknown {
  if (!isObject(from)) return undefined;
  try {
    return (from as Record<string, unknown>)[property];
  } catch {
    return undefined;
  }
}

/** What Postgres refuses (U+0000, halves of surrogate pairs) becomes U+FFFD. */
function cut(text: string, mostBytes: number): { readonly text: string; readonly isCut: boolean } {
  const near = text.length > mostBytes ? text.slice(0, mostBytes) : text;
  const clean = near.toWellFormed().replaceAll("\0", "\ufffd");
  if (Buffer.byteLength(clean) <= mostBytes) return { text: clean, isCut: near.length < text.length };
  let end = mostBytes;
  const bytes = Buffer.from(clean);
  while (end > 0 && ((bytes[end] as number) & 0xc0) === 0x80) end -= 1; // not within a character
  return { text: bytes.toString("utf8", 0, end), isCut: true };
}
