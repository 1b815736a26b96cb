import type { TaskRecord } from "../define/task.ts";
import { type Book, isOver, type PlayedRun, record } from "./book.ts";

/** What is said of a run that enters. */
export type Entering = Pick<PlayedRun, "body" | "options" | "dueAt" | "slot" | "id">;

/** Writes a new run into the book: waiting, or scheduled when it is due later. */
export function enter(book: Book, task: TaskRecord, entering: Entering): PlayedRun {
  const isLater = entering.dueAt > book.now;
  const run: PlayedRun = {
    ...entering,
    task,
    enqueuedAt: book.now,
    status: isLater ? "scheduled" : "waiting",
    attempt: 1,
    result: undefined,
    error: undefined,
    reason: undefined,
  };
  book.runs.push(run);
  record(book, task.queue, {
    type: "run.enqueued",
    run: run.id,
    task: task.name,
    ...(run.body === "" ? {} : { input: JSON.parse(run.body) as unknown }),
    ...(isLater ? { dueAt: run.dueAt } : {}),
    ...(run.options.key === undefined ? {} : { key: run.options.key }),
    ...(run.slot === undefined
      ? {}
      : { schedule: run.slot.schedule, slot: run.slot.at.getTime(), trigger: run.slot.trigger }),
  });
  return run;
}

/** A key holds until its run has ended, and then until its time after the dispatch is over. */
export function hasLapsed(run: PlayedRun, keyTtl: number | "run", now: number): boolean {
  return isOver(run) && (keyTtl === "run" || now >= run.enqueuedAt + keyTtl);
}
