import type { LoggerLike } from "../define/broker.ts";
import type { Style, Terminal } from "./terminal.ts";
import { clean, cleanLines } from "./text.ts";
import { clockTime } from "./words.ts";

const LEVELS = ["trace", "debug", "info", "warn", "error", "fatal", "silent"] as const;
const LOOK: Readonly<Record<string, Style>> = { debug: "dim", info: "green", warn: "yellow", error: "red" };

/** A logger for people: a line with the time, the level, the message and the bindings; an error's stack beneath it. */
export function createPrettyLogger(terminal: Terminal, level: string): LoggerLike {
  const least = LEVELS.indexOf(level as "info");
  const isWritten = (name: string) => LEVELS.indexOf(name as "info") >= least;
  const make = (bound: object): LoggerLike => {
    const log = (name: "debug" | "info" | "warn" | "error") => (bindings: object, message?: string) => {
      if (!isWritten(name)) return;
      for (const line of linesOf(
        { name, bindings: { ...bound, ...given(bindings) }, message: message ?? plain(bindings) },
        terminal,
      )) {
        terminal.note(line);
      }
    };
    return {
      debug: log("debug"),
      info: log("info"),
      warn: log("warn"),
      error: log("error"),
      child: (bindings) => make({ ...bound, ...bindings }),
      isLevelEnabled: isWritten,
    };
  };
  return make({});
}

interface Entry {
  readonly name: string;
  readonly bindings: Readonly<Record<string, unknown>>;
  readonly message: string;
}

function linesOf({ name, bindings, message }: Entry, { noteStyle }: Terminal): string[] {
  const { err, ...rest } = bindings;
  const facts = Object.entries(rest)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => noteStyle("dim", `${key}=${clean(shown(value))}`));
  const time = noteStyle("dim", clockTime(Date.now()));
  const head = [time, noteStyle(LOOK[name] ?? "reset", name.padEnd(5)), clean(message), ...facts].join("  ");
  if (err === undefined) return [head];
  const below = stackOf(err);
  return [head, noteStyle("dim", cleanLines(below).replace(/^/gm, "    "))];
}

/** Of an error that was thrown, and of one that was recorded. */
function stackOf(err: unknown): string {
  const { stack, name, type, message } = (typeof err === "object" && err !== null ? err : {}) as Readonly<
    Record<string, unknown>
  >;
  if (typeof stack === "string") return stack;
  return typeof message === "string" ? `${String(name ?? type ?? "Error")}: ${message}` : shown(err);
}

/** Loggers also take a message alone, and an error alone. */
function given(bindings: unknown): object {
  if (bindings instanceof Error) return { err: bindings };
  return typeof bindings === "object" && bindings !== null ? bindings : {};
}

function plain(bindings: unknown): string {
  if (bindings instanceof Error) return bindings.message;
  return typeof bindings === "string" ? bindings : "";
}

function shown(value: unknown): string {
  if (typeof value === "string") return value;
  try {
    return JSON.stringify(value) ?? String(value);
  } catch {
    return String(value);
  }
}
