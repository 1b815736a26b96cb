import type { EntryMeta } from "../../streams/entry.ts";
import type { EventDraft } from "../../streams/events.ts";
import type { HeldLock } from "../../streams/locks.ts";
import type { ResolvedPolicies } from "../define/policy.ts";
import type { TaskRecord } from "../define/task.ts";
import type { Hold } from "../deliver/work-lane.ts";
import type { TasktrailError } from "../errors.ts";
import type { Carrier, Ended } from "../middleware.ts";
import type { Timed } from "./deadline.ts";
import type { Effect } from "./invoke.ts";

/** One try at a run's handler, while it goes on. */
export interface Attempt extends Timed {
  readonly hold: Hold;
  readonly record: TaskRecord;
  readonly meta: EntryMeta;
  readonly policies: ResolvedPolicies;
  /** What the handler is given first. */
  readonly input: unknown;
  /** The overlap lock of a cron run; undefined when it needs none. */
  readonly lock: HeldLock | undefined;
  /** What its handler put off until all is committed, once it has. */
  effects: Effect[] | undefined;
  /** Its own trace context, or else that of the dispatch. */
  carrier: Carrier;
  /** What its hooks have active while its handler runs. */
  context: unknown;
  /** A hook has put it into a context of its own. */
  isEntered: boolean;
  /** By the monotonic clock, in ms. */
  startedAt: number;
  /** How long its handler took, in ms, once it is over. */
  durationMs: number;
  /** Why its signal was aborted. The first reason is the one that counts. */
  abortedBy: TasktrailError | undefined;
  /** Its deadline has come: what is waited for now is its handler's answer to the abort. */
  isDue: boolean;
  /** Its outcome is known, or nobody waits for it any more: what the handler still does is not recorded. */
  isOver: boolean;
  /** Behind the signal of its handler, once that has been asked for. */
  controller: AbortController | undefined;
  /** What its handler has reported, once it has. */
  progress: Progress | undefined;
  /** JSON of the result, once there is one. */
  resultJson: string;
  /** The handler returned, and what it returned cannot travel. */
  isResultBad: boolean;
  /** Ends the wait for a handler that does not come back, so that its providers can close. */
  abandon: ((reason: unknown) => void) | undefined;
  /** Stops watching over its lock. */
  unwatch: (() => void) | undefined;
  /** Hears that its slot is free again. */
  readonly onFree: (hold: Hold) => void;
  /** Hears how it ended. */
  onEnded: ((ended: Ended) => void) | undefined;
}

/** Takes a handler's reports of how far it is. */
export interface Progress {
  report(done: number, total?: number, note?: string): void;
  /** Ends the reporting; gives the last progress that has not been recorded. */
  close(): EventDraft<"run.progressed"> | undefined;
}
