import { DEFAULTS } from "./defaults.ts";
import { oneOf } from "./define/options.ts";

const logLevels = ["trace", "debug", "info", "warn", "error", "fatal", "silent"] as const;
/** The levels of LOG_LEVEL. */
export type LogLevel = (typeof logLevels)[number];

/** What other loggers call our levels. */
const otherLevels: Readonly<Record<string, LogLevel>> = {
  silly: "trace",
  verbose: "debug",
  http: "debug",
  notice: "info",
  warning: "warn",
  err: "error",
  critical: "fatal",
  none: "silent",
  off: "silent",
};

/** The level that LOG_LEVEL names, or the default. Throws InvalidOption for a word that names none. */
export function logLevelOf(text: string | undefined): LogLevel {
  const level = text?.toLowerCase() ?? DEFAULTS.logLevel;
  return Object.hasOwn(otherLevels, level) ? (otherLevels[level] as LogLevel) : oneOf("LOG_LEVEL", level, logLevels);
}
