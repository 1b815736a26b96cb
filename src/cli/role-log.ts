import type { LedgerEvent } from "../../streams/events.ts";
import { brokerSettings } from "../config.ts";
import type { Engine } from "../engine.ts";
import { processMiddleware } from "../middleware.ts";
import { eventLine } from "./event-lines.ts";
import { type ToldEvent, told } from "./event-words.ts";
import { createPrettyLogger } from "./pretty-logger.ts";
import type { Terminal } from "./terminal.ts";

/** Events that a person who watches wants to see as they happen. A log of a busy worker would consist of nothing else. */
const WATCHED = new Set(["run.started", "run.succeeded", "run.cancelled", "run.redelivered", "run.progressed"]);
/** Events that the broker itself puts into the log. */
const LOGGED = new Set(["run.failed", "run.died", "run.skipped"]);

/**
 * Makes what the roles of this process tell readable, when a terminal is there: the log, that of handlers included, unless the
 * application has a logger of its own; and the life of runs, as it goes on. Without a terminal all stays as it is: JSON lines.
 */
export function watchRoles(engine: Engine, terminal: Terminal): void {
  if (!terminal.isInteractive) return;
  const { logLevel } = brokerSettings({}, terminal.env);
  const isDebugging = logLevel === "debug" || logLevel === "trace";
  // The logger is handed out by reference to handlers and providers: this way all of them have the new one.
  if (engine.options.logger === undefined) Object.assign(engine.logger, createPrettyLogger(terminal, logLevel));
  if (!isDebugging && logLevel !== "info") return;
  processMiddleware().push({
    name: "tasktrail.cli",
    notice(notice) {
      if (notice.kind !== "events.recorded") return;
      for (const event of notice.events as readonly Partial<LedgerEvent>[]) {
        const type = event.type ?? "";
        if (WATCHED.has(type) || (isDebugging && !LOGGED.has(type))) showEvent(told(event), terminal);
      }
    },
  });
}

function showEvent(event: ToldEvent, { note, noteColumns: columns, noteStyle: style }: Terminal): void {
  const whole = event.at === undefined ? { ...event, at: Date.now() } : event;
  note(eventLine(whole, { columns, style }, { isLive: true }));
}
