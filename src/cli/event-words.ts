import type { LedgerEvent, UnknownEvent } from "../../streams/events.ts";
import type { Style } from "./terminal.ts";
import { clean } from "./text.ts";
import { counted, lengthWords, localTime } from "./words.ts";

/** An event as readers give it, or a part of one. */
export type ToldEvent = { readonly type: string } & Readonly<Record<string, unknown>>;

/** Takes an event of any kind as something that can be told. */
export function told(event: LedgerEvent | UnknownEvent | Partial<LedgerEvent>): ToldEvent {
  return event as ToldEvent;
}

/** What there is to know of an event besides its type, task and run, in one short line. */
export function eventWords(event: ToldEvent): string {
  const say = WORDS[event.type] ?? sayAll;
  return clean(
    say(event)
      .filter((part) => part !== undefined && part !== "")
      .join(", "),
  );
}

/** The colour of an event's type. */
export function eventStyle(type: string): Style {
  if (type === "run.succeeded" || type === "slot.fired") return "green";
  if (/^run\.(died|lost)$|malformed|regressed|ledger\.gap|worker\.lost/.test(type)) return "red";
  if (/failed|skipped|missed|cancel|deferred|redelivered|released|fenced|overran|recovered/.test(type)) return "yellow";
  return type === "run.started" ? "cyan" : "dim";
}

type Part = string | undefined;
type Say = (event: ToldEvent) => readonly Part[];

const WORDS: Readonly<Record<string, Say>> = {
  "run.enqueued": (event) => [
    slotPart(event),
    due(event, "dueAt"),
    field(event, "key", "key"),
    field(event, "redriveOf", "redrive of"),
  ],
  "run.due": () => [],
  "run.started": (event) => [attempt(event), length(event, "waitedMs", "waited")],
  "run.succeeded": (event) => [attempt(event), length(event, "durationMs", "took")],
  "run.failed": (event) => [
    attempt(event),
    error(event),
    length(event, "durationMs", "took"),
    due(event, "retryAt", "again"),
  ],
  "run.died": (event) => [field(event, "reason"), attempt(event), error(event)],
  "run.cancelled": (event) => [field(event, "reason")],
  "run.cancel_requested": (event) => [field(event, "reason")],
  "run.skipped": (event) => [field(event, "reason"), field(event, "holder", "held by")],
  "run.deferred": (event) => [field(event, "reason"), due(event, "retryAt", "again")],
  "run.released": (event) => [field(event, "from", "by")],
  "run.redelivered": (event) => [field(event, "from", "from"), field(event, "to", "to")],
  "run.recovered": (event) => [field(event, "to", "by")],
  "run.redriven": (event) => [field(event, "as", "as")],
  "run.progressed": (event) => [progress(event), field(event, "note")],
  "slot.fired": (event) => [slotPart(event), field(event, "trigger"), length(event, "lateMs", "late by")],
  "slot.skipped": (event) => [slotPart(event), field(event, "reason"), field(event, "holder", "held by")],
  "slot.missed": (event) => [slotPart(event), missed(event), field(event, "reason")],
  "worker.started": (event) => [field(event, "worker"), field(event, "concurrency", "concurrency")],
  "worker.stopped": (event) => [field(event, "worker")],
  "worker.lost": (event) => [field(event, "worker"), field(event, "by", "found by")],
};

/** What an event of a type that is not told otherwise has of its own. */
const COMMON = new Set([
  "type",
  "v",
  "at",
  "position",
  "queue",
  "run",
  "task",
  "traceparent",
  "traceId",
  "input",
  "result",
]);

function sayAll(event: ToldEvent): readonly Part[] {
  return Object.entries(event)
    .filter(([name, value]) => !COMMON.has(name) && value !== undefined)
    .map(([name, value]) => `${name} ${typeof value === "object" ? JSON.stringify(value) : String(value)}`);
}

function field(event: ToldEvent, name: string, word?: string): Part {
  const value = event[name];
  if (value === undefined || value === null || value === "") return undefined;
  const text = typeof value === "object" ? JSON.stringify(value) : String(value);
  return word === undefined ? text : `${word} ${text}`;
}

function length(event: ToldEvent, name: string, word: string): Part {
  const ms = event[name];
  return typeof ms === "number" ? `${word} ${lengthWords(ms)}` : undefined;
}

function due(event: ToldEvent, name: string, word = "due"): Part {
  const [at, from] = [event[name], event.at];
  if (typeof at !== "number") return undefined;
  return typeof from === "number" ? `${word} in ${lengthWords(Math.max(0, at - from))}` : `${word} at ${localTime(at)}`;
}

function attempt(event: ToldEvent): Part {
  const { attempt: number } = event;
  return typeof number === "number" && number > 1 ? `attempt ${number}` : undefined;
}

function error(event: ToldEvent): Part {
  const found = event.error as { readonly type?: unknown; readonly message?: unknown } | undefined;
  return found === undefined || found === null ? undefined : `${String(found.type)}: ${String(found.message)}`;
}

function slotPart(event: ToldEvent): Part {
  const { slot } = event;
  return typeof slot === "number" ? `slot ${localTime(slot)}` : undefined;
}

function progress(event: ToldEvent): Part {
  const { done, total } = event;
  if (typeof done !== "number") return undefined;
  return typeof total === "number" && total > 0
    ? `${done} of ${total} (${Math.floor((done / total) * 100)}%)`
    : String(done);
}

function missed(event: ToldEvent): Part {
  const { missedCount, until } = event;
  if (typeof missedCount !== "number") return undefined;
  return `${counted(missedCount, "slot")}${typeof until === "number" ? ` until ${localTime(until)}` : ""}`;
}
