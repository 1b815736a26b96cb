import type { LedgerEvent } from "../streams/events.ts";

/** The trace context that travels with a run. */
export interface Carrier {
  readonly traceparent?: string | undefined;
  readonly tracestate?: string | undefined;
  /** W3C Baggage, where it was asked for. Stands in the run's entry, and on no event. */
  readonly baggage?: string | undefined;
}

/** A dispatch on its way to Redis. */
export interface Sending {
  readonly task: string;
  readonly queue: string;
  readonly runs: readonly string[];
  /** Set when it is a slot that fires. */
  readonly cron?: { readonly schedule: string; readonly slot: number; readonly trigger: string } | undefined;
}

/** An attempt about to be executed, as hooks see it. */
export interface Execution {
  readonly run: string;
  readonly task: string;
  readonly queue: string;
  readonly attempt: number;
  readonly delivery: number;
  readonly worker: string;
  readonly enqueuedAt: number;
  readonly dueAt: number | undefined;
  readonly schedule: string | undefined;
  readonly slot: number | undefined;
  readonly trigger: string | undefined;
  readonly maxAttempts: number;
  /** What the handler is given first. */
  readonly input: unknown;
  readonly redriveOf: string | undefined;
  /** True when it was dispatched together with others. */
  readonly isOfMany: boolean;
  /** Where the run was dispatched from. */
  readonly carrier: Carrier;
  /** The attempt before, when there was one. */
  readonly previous: Carrier | undefined;
}

/** How an attempt ended. */
export interface Ended {
  readonly kind: "succeeded" | "failed" | "died" | "cancelled" | "skipped" | "deferred" | "interrupted" | "fenced";
  readonly durationMs: number;
  readonly error?: unknown;
}

/** Hears of an attempt: how long its run had waited when it started, and how long it took when it succeeded, in ms; undefined for what is told at another time. */
export type TellPlain = (task: string, waitedMs: number | undefined, durationMs: number | undefined) => void;

/** Something that people or tools may want to know, in one word and its facts. `otel/` and the logger put it into their own words. */
export type Notice =
  /** As they were written, but for the inputs of dispatches. */
  | {
      readonly kind: "events.recorded";
      readonly queue: string;
      readonly events: readonly Partial<LedgerEvent>[];
      /** True when all of them are `run.started` and `run.succeeded`. Whom those do not concern should not ask for `events`, which are made for who does. */
      readonly isPlain?: boolean;
      /** Of plain ones, what is counted, without the events being made. */
      readonly eachPlain?: (tell: TellPlain) => void;
    }
  | { readonly kind: "redis.away" | "redis.back"; readonly role: string; readonly error?: unknown }
  | {
      readonly kind: "worker.ready" | "worker.draining" | "worker.stopped";
      readonly worker: string;
      readonly queues: readonly string[];
      readonly concurrency: number;
    }
  | { readonly kind: "lease.lost"; readonly worker: string; readonly queue: string; readonly runs: readonly string[] }
  | {
      readonly kind: "entries.reclaimed" | "entries.recovered" | "entries.received_again";
      readonly worker: string;
      readonly queue: string;
      readonly count: number;
    }
  | { readonly kind: "run.refused"; readonly run: string; readonly task: string; readonly why: string }
  | {
      readonly kind: "problem";
      readonly what: string;
      readonly error?: unknown;
      readonly facts?: Readonly<Record<string, unknown>>;
    }
  | {
      readonly kind: "slot.fired" | "slot.missed";
      readonly schedule: string;
      readonly slot: number;
      readonly lateMs: number;
      readonly run?: string;
      readonly count?: number;
    }
  | {
      readonly kind: "batch.projected";
      readonly queue: string;
      readonly events: number;
      readonly rows: number;
      readonly tookMs: number;
      /** How old the batch's last entry was, about: the clocks of two machines are compared. */
      readonly lagMs?: number;
    }
  | {
      /** A queue whose ledger had diverged is whole again, as far as the archive knew. */
      readonly kind: "lane.repaired";
      readonly queue: string;
      /** Runs that lie in the queue again. */
      readonly restoredCount: number;
      /** Entries that went, since their runs had ended. */
      readonly withdrawnCount: number;
      /** Runs that could not come back: the archive does not have their dispatch. */
      readonly lostCount: number;
    }
  | {
      /** A day of the archive was older than it is to be kept. `keptCount`: its entries that stay, since their runs have not ended. */
      readonly kind: "archive.dropped";
      readonly partition: string;
      readonly day: string;
      readonly keptCount: number;
    }
  | {
      /** A projection's history was folded again, or could not be: then `error` says why. */
      readonly kind: "projection.replayed";
      readonly projection: string;
      /** `apply`: its table was made what came of it. `keep`: that has a table of its own. */
      readonly mode: "apply" | "verify" | "count" | "keep";
      readonly events: number;
      /** Rows that were changed, or would have been. */
      readonly rows: number;
      readonly tookMs: number;
      readonly error?: unknown;
    }
  | {
      /** The view of a projection shows the rows of a new version from now on. */
      readonly kind: "projection.switched";
      readonly projection: string;
      readonly version: number;
    }
  | {
      readonly kind: "role.ready" | "role.stopped";
      readonly role: string;
      readonly facts?: Readonly<Record<string, unknown>>;
    };

/** A line of the log. */
export interface LogLine {
  readonly level: "trace" | "debug" | "info" | "warn" | "error" | "fatal";
  readonly facts: Readonly<Record<string, unknown>>;
  readonly message: string;
  /** The trace context of the attempt that it tells of. Default: that in which it is written. */
  readonly carrier?: Carrier | undefined;
}

/** How a dispatch ended. */
export interface Sent {
  /** What Redis did not take it for; absent when it did. */
  readonly error?: unknown;
}

/** What is done around one dispatch or one attempt, which ends in a `T`. */
export interface Hook<T> {
  /** The trace context that travels with the runs of a dispatch, or stands on the events of an attempt. Default: none; that of its dispatch. */
  readonly carrier?: Carrier | undefined;
  /** Of an attempt: what telemetry has active while the handler runs, as `currentRun` tells it. Default: what it makes of the carrier. */
  readonly context?: unknown;
  /** Calls `begin` at once, in the context that it is to run in. Default: just that. */
  enter?(begin: () => void): void;
  /** True when `enter` matters to nobody but what is sent meanwhile: of dispatches that go in one call, the first alone is entered. Default: each is. */
  readonly isForCall?: boolean;
  /** Hears how it ended. */
  end?(outcome: T): void;
}

/**
 * What may be hung on the engine. Each hook is optional; one that throws is told of and never costs a run. `send` and `attempt` are asked
 * before it begins, and say what is to be done around it; undefined for nothing. No promises: an attempt may be over in microseconds.
 */
export interface Middleware {
  readonly name: string;
  /** True as long as nobody listens: then it is passed over, and nothing is made for it. Asked at each attempt and each dispatch. Default: false. */
  isIdle?(): boolean;
  /** Around a dispatch. */
  send?(sending: Sending): Hook<Sent> | undefined;
  /** Around an attempt. */
  attempt?(execution: Execution): Hook<Ended> | undefined;
  /** Hears of everything that the engine tells. */
  notice?(notice: Notice): void;
  /** Hears of each line that the broker's log is given, by the engine or by a handler's `getLogger`. */
  log?(line: LogLine): void;
}

const KEY = Symbol.for("tasktrail.middleware");

/**
 * The process' middleware, shared by every copy of this package in it: tracing is switched on once per process,
 * before or after brokers are made, and the core does not know of it.
 */
export function processMiddleware(): Middleware[] {
  const holder = globalThis as unknown as Record<symbol, Middleware[] | undefined>;
  holder[KEY] ??= [];
  return holder[KEY];
}

/** Tells every middleware of a notice. One that throws is passed over: telling must not stop the work. */
export function announceTo(middleware: readonly Middleware[], notice: Notice): void {
  for (const one of middleware) {
    try {
      one.notice?.(notice);
    } catch {
      // the logger itself may be what throws: there is nobody left to tell
    }
  }
}
