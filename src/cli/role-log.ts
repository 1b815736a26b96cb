import type { LedgerEvent } from "../../streams/events.ts";
import { brokerSettings } from "../config.ts";
import type { LoggerLike } from "../define/broker.ts";
import type { Engine } from "../engine.ts";
import { processMiddleware } from "../middleware.ts";
import { eventLine } from "./event-lines.ts";
import { eventWords, type ToldEvent, told } from "./event-words.ts";
import { type Level, noticeLine } from "./notice-words.ts";
import { createPrettyLogger } from "./pretty-logger.ts";
import type { Terminal } from "./terminal.ts";

/** How loud an event is; those that are not here are for debugging. */
const EVENT_LEVEL: Readonly<Record<string, Level>> = {
  "run.failed": "warn",
  "run.died": "error",
  "run.lost": "error",
  "run.skipped": "warn",
  "run.cancelled": "info",
  "run.deferred": "warn",
  "worker.lost": "warn",
  "lane.regressed": "error",
};

/** What a person who watches also wants to see. A log of a busy worker would consist of nothing else. */
const WATCHED = new Set(["run.succeeded", "run.started", "run.redelivered"]);

/** A trouble that goes on is told of again after this long, in ms. */
const REMIND_MS = 30_000;

/**
 * Puts what the roles of this process tell into log lines on stderr: for people when a terminal is there, else JSON by the broker's
 * logger. On a terminal, lines of handlers become readable too, unless the application has brought a logger of its own.
 */
export function logRoles(engine: Engine, terminal: Terminal): void {
  const { logLevel } = brokerSettings({}, terminal.env);
  const isOurs = engine.options.logger === undefined;
  // The logger is handed out by reference to handlers and providers: this way all of them have the new one.
  if (isOurs && terminal.isInteractive) Object.assign(engine.logger, createPrettyLogger(terminal, logLevel));
  const isDebugging = logLevel === "debug" || logLevel === "trace";
  const isForPeople = isOurs && terminal.isInteractive && (isDebugging || logLevel === "info");
  const remind = reminders();
  const onEvent = (event: ToldEvent) => {
    const isLoud = isDebugging || EVENT_LEVEL[event.type] !== undefined;
    if (isForPeople && (isLoud || WATCHED.has(event.type))) showEvent(event, terminal);
    else if (!isForPeople && isLoud) logEvent(event, engine.logger);
  };
  processMiddleware().push({
    name: "tasktrail.cli",
    notice(notice) {
      if (notice.kind === "events.recorded") {
        for (const event of notice.events as readonly Partial<LedgerEvent>[]) onEvent(told(event));
        return;
      }
      if (notice.kind === "redis.away" && !remind(notice.role)) return;
      const line = noticeLine(notice);
      if (line !== undefined) engine.logger[line.level](line.facts, line.message);
    },
  });
}

function showEvent(event: ToldEvent, terminal: Terminal): void {
  const whole = event.at === undefined ? { ...event, at: Date.now() } : event;
  const look = { columns: terminal.noteColumns, style: terminal.noteStyle };
  terminal.note(eventLine(whole, look, { isLive: true }));
}

function logEvent(event: ToldEvent, logger: LoggerLike): void {
  const level = EVENT_LEVEL[event.type] ?? "debug";
  const { type, task, run, attempt, worker, schedule, error } = event;
  const facts = { event: type, task, run, attempt, worker, schedule, error };
  logger[level](facts, [type, task, eventWords(event)].filter((part) => part !== undefined && part !== "").join(" "));
}

/** True for the first of a kind, and then once in a while: a server that is away is met by every attempt to connect. */
function reminders(): (kind: string) => boolean {
  const toldAt = new Map<string, number>();
  return (kind) => {
    const now = performance.now();
    if (now - (toldAt.get(kind) ?? Number.NEGATIVE_INFINITY) < REMIND_MS) return false;
    toldAt.set(kind, now);
    return true;
  };
}
