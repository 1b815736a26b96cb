import type { EntryRetry } from "../../streams/entry.ts";
import { isKeyPart } from "../../streams/keys.ts";
import { DEFAULTS, KEY_PART_RULE } from "../defaults.ts";
import { invalidOption } from "../errors.ts";
import type { DispatchOptions } from "./dispatch.ts";
import { type Duration, durationMs } from "./duration.ts";
import { checkKeys, checkObject, instantMs, shown } from "./options.ts";
import { travellingRetry } from "./resolve-policies.ts";

/** What was said about one dispatch, in milliseconds. Fields that are undefined were not given. */
export interface ResolvedDispatch {
  readonly delayMs: number | undefined;
  readonly atMs: number | undefined;
  readonly key: string | undefined;
  /** How long the key holds after the dispatch; "run": until the run ends. */
  readonly keyTtl: number | "run";
  /** Counted from when the run is due. */
  readonly expiresMs: number | undefined;
  readonly queue: string | undefined;
  readonly labels: Readonly<Record<string, string>> | undefined;
  readonly timeoutMs: number | undefined;
  readonly retry: EntryRetry | undefined;
}

const dispatchKeys = ["delay", "at", "key", "keyTtl", "expires", "queue", "labels", "timeout", "retry", "session"];
const MOST_LABELS = 16;
const LONGEST_LABEL = 500;
const LONGEST_KEY = 500;

const nothingSaid: ResolvedDispatch = Object.freeze({
  delayMs: undefined,
  atMs: undefined,
  key: undefined,
  keyTtl: DEFAULTS.keyTtlMs,
  expiresMs: undefined,
  queue: undefined,
  labels: undefined,
  timeoutMs: undefined,
  retry: undefined,
});

/** Checks what was said about a dispatch. Throws InvalidOption. Costs nothing when nothing was said. */
export function resolveDispatch(options: DispatchOptions): ResolvedDispatch {
  if (isEmpty(options)) return nothingSaid;
  checkObject("options", options);
  checkKeys("with()", options, dispatchKeys);
  const { delay, at, key, keyTtl, expires, queue, labels, timeout, retry } = options;
  if (delay !== undefined && at !== undefined) throw invalidOption("at", "not together with `delay`: give one of them");
  if (queue !== undefined && (typeof queue !== "string" || !isKeyPart(queue))) {
    throw invalidOption("queue", `${shown(queue)} cannot be a queue: ${KEY_PART_RULE}`);
  }
  return {
    delayMs: delay === undefined ? undefined : durationMs(delay, "delay"),
    atMs: at === undefined ? undefined : instantMs("at", at),
    key: key === undefined ? undefined : checkedKey(key),
    keyTtl: keyTtl === undefined ? DEFAULTS.keyTtlMs : keyTtl === "run" ? "run" : durationMs(keyTtl, "keyTtl"),
    expiresMs: expires === undefined ? undefined : durationMs(expires, "expires"),
    queue,
    labels: labels === undefined ? undefined : checkedLabels(labels),
    timeoutMs: timeout === undefined ? undefined : positiveMs(timeout),
    retry: retry === undefined ? undefined : travellingRetry(retry),
  };
}

/** True for what comes of options in which nothing is said. */
export function isNothingSaid(said: ResolvedDispatch): boolean {
  return said === nothingSaid;
}

function isEmpty(options: object): boolean {
  for (const _ in options) return false;
  return true;
}

/** The text of an idempotency key, checked. It becomes part of a Redis key. Throws InvalidOption. */
export function checkedKey(key: unknown): string {
  if (typeof key !== "string") throw invalidOption("key", `${shown(key)} is not text`);
  if (key === "" || key.length > LONGEST_KEY) {
    throw invalidOption("key", `has ${key.length} characters: 1 to ${LONGEST_KEY} are allowed. Hash what is longer`);
  }
  return checkedText("key", key);
}

function checkedLabels(labels: unknown): Readonly<Record<string, string>> {
  checkObject("labels", labels);
  const entries = Object.entries(labels as object);
  if (entries.length > MOST_LABELS) throw invalidOption("labels", `${entries.length} of them: at most ${MOST_LABELS}`);
  for (const [name, text] of entries) {
    if (typeof text !== "string") throw invalidOption(`labels.${name}`, `${shown(text)} is not text`);
    if (name === "" || name.length + text.length > LONGEST_LABEL) {
      throw invalidOption(`labels.${name}`, `a label's name and text have 1 to ${LONGEST_LABEL} characters together`);
    }
    checkedText("labels", name);
    checkedText(`labels.${name}`, text);
  }
  return Object.fromEntries(entries);
}

/** Postgres stores neither of the two. */
function checkedText(option: string, text: string): string {
  if (text.includes("\0") || !text.isWellFormed()) {
    throw invalidOption(option, "holds U+0000 or half of a surrogate pair, which cannot be stored");
  }
  return text;
}

function positiveMs(timeout: Duration): number {
  const ms = durationMs(timeout, "timeout");
  if (ms === 0) throw invalidOption("timeout", `"${timeout}" would end the run at once: it has to be longer than zero`);
  return ms;
}
