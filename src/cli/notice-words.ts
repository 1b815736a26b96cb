import type { Notice } from "../middleware.ts";
import { counted, lengthWords, localTime } from "./words.ts";

/** How loud a line is. */
export type Level = "debug" | "info" | "warn" | "error";

/** A log line: its level, its message, and the facts beside it. */
export interface Line {
  readonly level: Level;
  readonly message: string;
  readonly facts: Readonly<Record<string, unknown>>;
}

/** Notices that are put into words here. Problems are told by the broker's own observer, and events are lines of their own. */
type Told = Exclude<Notice["kind"], "events.recorded" | "problem">;

/** What a notice says to people; undefined when somebody else tells it. */
export function noticeLine(notice: Notice): Line | undefined {
  if (!Object.hasOwn(WORDS, notice.kind)) return undefined;
  const say = WORDS[notice.kind as Told] as (notice: Notice) => Line;
  return say(notice);
}

const line =
  (level: Level) =>
  (message: string, facts: Line["facts"] = {}): Line => ({ level, message, facts });
const [debug, info, warn, error] = [line("debug"), line("info"), line("warn"), line("error")];

/** The notice of a kind; several kinds may share one shape. */
type OfKind<Kind, One = Notice> = One extends { readonly kind: infer Kinds }
  ? Kind extends Kinds
    ? One
    : never
  : never;

const WORDS: { readonly [Kind in Told]: (notice: OfKind<Kind>) => Line } = {
  "redis.away": ({ role, error: cause }) => warn("Redis is away; connecting again", { role, error: messageOf(cause) }),
  "redis.back": ({ role }) => info("Redis is back", { role }),
  "worker.ready": ({ worker, queues, concurrency }) =>
    info(`worker ready: ${queues.length === 1 ? "queue" : "queues"} ${queues.join(", ")}, concurrency ${concurrency}`, {
      worker,
    }),
  "worker.draining": ({ worker }) => info("worker stopping: it ends what it has begun", { worker }),
  "worker.stopped": ({ worker }) => info("worker stopped", { worker }),
  "lease.lost": ({ worker, queue, runs }) =>
    error(`lease lost: ${counted(runs.length, "run")} may go to other workers`, {
      worker,
      queue,
      runs: runs.slice(0, 10),
    }),
  "entries.reclaimed": ({ queue, count }) => warn(`took over ${entries(count)} of workers that are gone`, { queue }),
  "entries.recovered": ({ queue, count }) => warn(`found ${entries(count)} that nobody held`, { queue }),
  "entries.received_again": ({ queue, count }) =>
    warn(`received ${entries(count)} again, whose delivery was lost`, { queue }),
  "run.refused": ({ run, task, why }) => warn(`what became of a run was refused: ${why}`, { run, task }),
  "slot.fired": ({ schedule, slot, run, lateMs }) =>
    info(`${schedule} fired, ${lengthWords(lateMs)} late`, { schedule, slot: new Date(slot).toISOString(), run }),
  "slot.missed": ({ schedule, slot, count }) =>
    warn(`${counted(count ?? 1, "slot")} of ${schedule} missed from ${localTime(slot)} on`, { schedule }),
  "role.ready": ({ role, facts }) => info(`${role} ready`, facts),
  "role.stopped": ({ role, facts }) => info(`${role} stopped`, facts),
  "batch.projected": ({ queue, events, rows, tookMs }) => debug("projected", { queue, events, rows, tookMs }),
};

function entries(count: number): string {
  return counted(count, "entry", "entries");
}

function messageOf(cause: unknown): string | undefined {
  if (cause === undefined) return undefined;
  if (!(cause instanceof Error)) return String(cause);
  return (cause as { code?: string }).code ?? cause.message;
}
