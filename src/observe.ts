import { discreet } from "../streams/connect.ts";
import type { LedgerEvent } from "../streams/events.ts";
import { type Clock, systemClock } from "./clock.ts";
import type { LoggerLike } from "./define/broker.ts";
import type { LogLine, Middleware, Notice } from "./middleware.ts";
import { isEnabled } from "./overhear.ts";

/** Lines of one class are at least so far apart, in ms; those between are counted. */
const QUIET_MS = 5_000;
/** Classes that are kept apart. Past that all are forgotten: a log that says too much is better than one that grows. */
const MOST_CLASSES = 1_000;

/** A line, as it is worded. */
interface Line extends LogLine {
  readonly level: "debug" | "info" | "warn" | "error";
  /** Lines of one class are told once in a while. Default: each is told. */
  readonly class?: string;
}

/** What an observer works with. */
export interface ObserverOptions {
  readonly clock?: Clock | undefined;
  /** Hears of each line that is written. */
  readonly hear?: ((line: LogLine) => void) | undefined;
}

/** Puts what the engine tells into words, for people who read logs: one line per class of trouble every five seconds, with a count of those it left out. */
export function createObserver(logger: LoggerLike, { clock = systemClock, hear }: ObserverOptions = {}): Middleware {
  const quiet = createQuiet(clock);
  const write = (line: Line) => {
    const suppressed = line.class === undefined ? 0 : quiet(line.class);
    if (suppressed === undefined) return;
    const facts = suppressed === 0 ? line.facts : { ...line.facts, suppressed };
    logger[line.level](facts, line.message);
    if (hear !== undefined && isEnabled(logger, line.level)) hear({ ...line, facts });
  };
  return {
    name: "tasktrail.log",
    notice(notice) {
      if (notice.kind !== "events.recorded") return write(worded(notice));
      if (notice.isPlain === true) return;
      for (const event of notice.events) {
        const line = wordedEvent(event);
        if (line !== undefined) write(line);
      }
    },
  };
}

/** How many lines of a class were left out since the last one; undefined when this one is to be left out as well. */
function createQuiet(clock: Clock): (name: string) => number | undefined {
  const classes = new Map<string, { until: number; suppressed: number }>();
  return (name) => {
    const now = clock.elapsed();
    const known = classes.get(name);
    if (known !== undefined && now < known.until) {
      known.suppressed += 1;
      return undefined;
    }
    if (classes.size >= MOST_CLASSES) classes.clear();
    classes.set(name, { until: now + QUIET_MS, suppressed: 0 });
    return known?.suppressed ?? 0;
  };
}

function worded(notice: Exclude<Notice, { kind: "events.recorded" }>): Line {
  const { kind, ...facts } = notice;
  switch (notice.kind) {
    case "problem":
      return {
        level: "warn",
        facts: { ...notice.facts, ...err(notice.error) },
        message: notice.what,
        class: `${notice.what} ${nameOf(notice.error)}`,
      };
    case "redis.away":
      return {
        level: "warn",
        facts: { role: notice.role, ...err(notice.error) },
        message: "Redis cannot be reached; trying again",
        class: `${kind} ${nameOf(notice.error)}`,
      };
    case "redis.back":
      return { level: "info", facts, message: "Redis is back", class: kind };
    case "lease.lost":
      return {
        level: "warn",
        facts,
        message: "this worker was silent for longer than its lease; others have its runs",
        class: kind,
      };
    case "run.refused":
      return {
        level: "warn",
        facts,
        message: "what became of a run was not recorded: it is no longer ours",
        class: kind,
      };
    case "slot.missed":
      return { level: "warn", facts, message: "slots were missed", class: `${kind} ${notice.schedule}` };
    default: {
      const level = LEVELS[notice.kind];
      const line = { level, facts, message: MESSAGES[notice.kind] };
      return level === "warn" ? { ...line, class: kind } : line;
    }
  }
}

type Plain = Exclude<
  Notice["kind"],
  "events.recorded" | "problem" | "redis.away" | "redis.back" | "lease.lost" | "run.refused" | "slot.missed"
>;

const MESSAGES: Readonly<Record<Plain, string>> = {
  "worker.ready": "worker is ready",
  "worker.draining": "worker is stopping, and waits for what it runs",
  "worker.stopped": "worker has stopped",
  "entries.reclaimed": "runs of a worker that had gone silent were taken over",
  "entries.recovered": "runs that no worker held were found and taken",
  "entries.received_again": "runs whose delivery had got lost on the way were fetched again",
  "slot.fired": "cron has fired",
  "batch.projected": "events were projected",
  "archive.dropped": "a day of the archive was dropped",
  "lane.repaired": "what the queue had lost was brought back from the archive",
  "projection.switched": "a projection's view shows its new version",
  "projection.replayed": "a projection was replayed",
  "role.ready": "ready",
  "role.stopped": "stopped",
};
const LEVELS: Readonly<Record<Plain, Line["level"]>> = {
  "worker.ready": "info",
  "worker.draining": "info",
  "worker.stopped": "info",
  "entries.reclaimed": "warn",
  "entries.recovered": "warn",
  "entries.received_again": "warn",
  "slot.fired": "info",
  "batch.projected": "debug",
  "archive.dropped": "info",
  "lane.repaired": "warn",
  "projection.switched": "info",
  "projection.replayed": "info",
  "role.ready": "info",
  "role.stopped": "info",
};

/** Why entries died that others may have written: those chose the task's name, and any number of names would be any number of classes. */
const STRANGE: readonly string[] = ["undecodable", "unknown_task"];

/** The few events that somebody should hear of without having asked. */
function wordedEvent(event: Partial<LedgerEvent>): Line | undefined {
  switch (event.type) {
    case "run.skipped": {
      const { type, run, task, reason, holder } = event;
      return {
        level: "info",
        facts: { run, task, reason, holder, ...traceOf(event) },
        message: "run was skipped",
        class: `${type} ${task}`,
        carrier: event,
      };
    }
    case "run.died": {
      const { type, run, task, attempt, reason = "", error } = event;
      const isStrange = STRANGE.includes(reason);
      const name = isStrange ? `${type} ${reason}` : `${type} ${task} ${error?.fingerprint}`;
      return {
        level: "error",
        facts: { run, task, attempt, reason, err: error, ...traceOf(event) },
        message: "run has died",
        class: name,
        carrier: event,
      };
    }
    case "run.failed": {
      const { type, run, task, attempt, error } = event;
      const name = `${type} ${task} ${error?.fingerprint}`;
      const retryAt = event.retryAt === undefined ? undefined : new Date(event.retryAt).toISOString();
      const facts = { run, task, attempt, err: error, retryAt, ...traceOf(event) };
      return { level: "warn", facts, message: "attempt has failed", class: name, carrier: event };
    }
    default:
      return undefined;
  }
}

/** Under the name that the lines of handlers have it. */
function traceOf({ traceparent }: Partial<LedgerEvent>): { readonly trace_id?: string } {
  const id = traceparent?.split("-")[1];
  return id === undefined ? {} : { trace_id: id };
}

/** Under the name that pino knows how to write errors by. */
function err(error: unknown): { readonly err?: unknown } {
  return error === undefined ? {} : { err: discreet(error) };
}

function nameOf(error: unknown): string {
  const { code, name } = (error ?? {}) as { readonly code?: unknown; readonly name?: unknown };
  return String(code ?? name ?? "");
}
