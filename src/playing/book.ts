import type { EventDraft, LedgerEvent } from "../../streams/events.ts";
import type { DispatchOptions } from "../define/dispatch.ts";
import type { CronRecord, TaskRecord } from "../define/task.ts";
import type { DomainEvent } from "../define/topic.ts";
import type { RunStatus, Slot } from "../run.ts";

/** A run as the test kit keeps it. */
export interface PlayedRun {
  readonly id: string;
  readonly task: TaskRecord;
  /** JSON of the encoded input; empty for none. */
  readonly body: string;
  readonly options: DispatchOptions;
  readonly slot: Slot | undefined;
  readonly enqueuedAt: number;
  status: RunStatus;
  attempt: number;
  dueAt: number;
  /** What the handler gave, once it succeeded. */
  result: unknown;
  /** What the last attempt failed with. */
  error: unknown;
  reason: string | undefined;
}

/** All that has happened under a test broker. */
export interface Book {
  now: number;
  readonly runs: PlayedRun[];
  /** By task and key. */
  readonly keys: Map<string, PlayedRun>;
  readonly events: LedgerEvent[];
  readonly published: Map<string, DomainEvent<unknown>[]>;
  /** Made at run time, by id. */
  readonly schedules: Map<string, PlayedSchedule>;
  /** The ids of schedules that fire nothing. */
  readonly paused: Set<string>;
}

/** A schedule as the test kit keeps it: of `cron()`, or made at run time. */
export interface PlayedSchedule {
  readonly id: string;
  readonly task: TaskRecord;
  readonly cron: CronRecord;
  /** JSON of the encoded input; empty for none. */
  readonly body: string;
}

/** An empty book, at an instant. */
export function openBook(now: number): Book {
  return { now, runs: [], keys: new Map(), events: [], published: new Map(), schedules: new Map(), paused: new Set() };
}

/** Writes an event down, at the book's time. */
export function record(book: Book, queue: string, draft: EventDraft): void {
  book.events.push({ v: 1, at: book.now, queue, ...draft } as LedgerEvent);
}

/** True when a run has come to its end. */
export function isOver({ status }: Pick<PlayedRun, "status">): boolean {
  return status === "succeeded" || status === "died" || status === "cancelled";
}
