import {
  type Attributes,
  type Context,
  context,
  type LoggerProvider,
  logs,
  SeverityNumber,
  trace,
} from "@opentelemetry/api";
import type { LogLine, Middleware } from "../src/middleware.ts";
import { NAMES, SCOPE } from "./attributes.ts";
import { spanContextOf } from "./propagation.ts";

/** Where lines of the log go. */
export interface LoggingOptions {
  /** Default: the provider that the SDK has registered. */
  readonly provider?: LoggerProvider | undefined;
}

const SEVERITIES: Readonly<Record<LogLine["level"], SeverityNumber>> = {
  trace: SeverityNumber.TRACE,
  debug: SeverityNumber.DEBUG,
  info: SeverityNumber.INFO,
  warn: SeverityNumber.WARN,
  error: SeverityNumber.ERROR,
  fatal: SeverityNumber.FATAL,
};

/** What lines call by a short name. */
const LONG: Readonly<Record<string, string>> = {
  run: NAMES.run,
  task: NAMES.task,
  attempt: NAMES.attempt,
  worker: NAMES.worker,
  queue: NAMES.destination,
  schedule: NAMES.schedule,
  reason: NAMES.reason,
};

/** Characters of a fact that is no plain value. */
const MOST_CHARACTERS = 4_000;

/** Hands the lines of brokers' logs on as log records, each in the trace that it belongs to. */
export function logging({ provider = logs.getLoggerProvider() }: LoggingOptions = {}): Middleware {
  const logger = provider.getLogger(SCOPE);
  return {
    name: "tasktrail.logging",
    log(line) {
      logger.emit({
        timestamp: Date.now(),
        severityNumber: SEVERITIES[line.level],
        severityText: line.level.toUpperCase(),
        body: line.message,
        attributes: attributesOf(line.facts),
        context: contextOf(line),
      });
    },
  };
}

/** A handler's line stands in the span that is active; what the engine tells of a run afterwards, in that of its attempt. */
function contextOf({ carrier }: LogLine): Context {
  const found = carrier === undefined ? undefined : spanContextOf(carrier);
  return found === undefined ? context.active() : trace.setSpanContext(context.active(), found);
}

function attributesOf(facts: LogLine["facts"]): Attributes {
  const attributes: Attributes = {};
  for (const [name, value] of Object.entries(facts)) {
    if (value === undefined || value === null || name === "trace_id") continue;
    if (name === "err") Object.assign(attributes, exceptionOf(value));
    else attributes[LONG[name] ?? name] = plain(value);
  }
  return attributes;
}

/** Of an error that was thrown, and of one that was recorded. */
function exceptionOf(err: unknown): Attributes {
  const { name, type, message, stack, code } = Object(err) as Readonly<Record<string, unknown>>;
  const said = {
    "exception.type": code ?? type ?? name,
    "exception.message": message ?? err,
    "exception.stacktrace": stack,
  };
  return Object.fromEntries(
    Object.entries(said)
      .filter(([, value]) => value !== undefined)
      .map(([key, value]) => [key, plain(value)]),
  );
}

function plain(value: unknown): string | number | boolean {
  if (typeof value === "string" || typeof value === "number" || typeof value === "boolean") return value;
  return String(written(value)).slice(0, MOST_CHARACTERS);
}

/** What cannot be written as JSON, as a ring, is at least named. */
function written(value: unknown): string | undefined {
  try {
    return JSON.stringify(value) ?? String(value);
  } catch {
    return Object.prototype.toString.call(value);
  }
}
