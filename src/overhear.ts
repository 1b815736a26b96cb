import { format } from "node:util";
import type { LoggerLike } from "./define/broker.ts";
import type { LogLine, Middleware } from "./middleware.ts";

const LEVELS: ReadonlySet<unknown> = new Set(["trace", "debug", "info", "warn", "error", "fatal"]);

/** Whom lines of the log are told to as well; undefined when nobody listens. */
export function listener(middleware: readonly Middleware[]): ((line: LogLine) => void) | undefined {
  const heard = middleware.filter((one) => one.log !== undefined);
  if (heard.length === 0) return undefined;
  return (line) => {
    for (const one of heard) {
      try {
        one.log?.(line);
      } catch {
        // a line that says so would be heard as well, and so on for ever
      }
    }
  };
}

/**
 * A logger whose lines are also told to `hear`, with the bindings of its children; those below its level are not. Whatever else the logger
 * can do, it can do still.
 */
export function overhear<T extends LoggerLike>(logger: T, bindings: object, hear: (line: LogLine) => void): T {
  return new Proxy(logger, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== "function") return value;
      if (name === "child")
        return (more: Record<string, unknown>, ...rest: unknown[]) =>
          overhear(value.call(target, more, ...rest) as T, { ...bindings, ...more }, hear);
      if (!LEVELS.has(name)) return value.bind(target);
      const level = name as LogLine["level"];
      return (...said: unknown[]) => {
        value.apply(target, said);
        if (isEnabled(target, level)) hear(lineOf(level, bindings, said));
      };
    },
  });
}

/** True when a logger writes lines of a level, as far as it can tell. */
export function isEnabled(logger: LoggerLike, level: string): boolean {
  return logger.isLevelEnabled?.(level) ?? true;
}

/** Loggers take facts and a message, a message alone, or an error alone; and what a message has places for. */
function lineOf(level: LogLine["level"], bindings: object, said: readonly unknown[]): LogLine {
  const [first, ...rest] = said;
  if (typeof first === "string") return { level, facts: { ...bindings }, message: format(first, ...rest) };
  const facts = first instanceof Error ? { err: first } : { ...(first as object | undefined) };
  const [message = first instanceof Error ? first.message : "", ...values] = rest;
  return { level, facts: { ...bindings, ...facts }, message: format(message, ...values) };
}
