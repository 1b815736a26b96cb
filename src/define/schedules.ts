import type { RunHandle } from "../run.ts";
import type { CronCheck, CronPolicies } from "./cron.ts";
import type { TaskRef } from "./dispatch.ts";
import type { CronRecord, DispatchPort, TaskRecord } from "./task.ts";

interface ScheduleBase<Input> extends CronPolicies {
  /** The task that it dispatches; its handler may live elsewhere. */
  readonly task: TaskRef<Input, unknown>;
}

/** A schedule that is made at run time: a task, when, and with what input. */
export type ScheduleDefinition<Input, Expression extends string> = ScheduleBase<Input> & {
  /** `minute hour day-of-month month day-of-week`. */
  readonly cron: CronCheck<Expression>;
} & ([Input] extends [undefined] ? { readonly input?: undefined } : { readonly input: NoInfer<Input> });

/**
 * Schedules made at run time, and a hold on those of `cron()`. Kept in Redis; every change is an event. All of it throws ScheduleUnknown
 * for an id that there is none of, and RedisUnavailable when Redis does not answer in time: then it may have been done, and can be done again.
 */
export interface Schedules {
  /**
   * Makes or replaces a schedule. The same content again changes nothing, its last slot included. The input is checked and encoded now.
   * Throws InvalidOption, InvalidInput, NotJson, TooLarge; InvalidOption also for an id that a `cron()` in the code of schedulers has.
   */
  upsert<Input, const Expression extends string>(
    id: string,
    definition: ScheduleDefinition<Input, Expression>,
  ): Promise<void>;
  /** All of the namespace, those of `cron()` included, by id. */
  list(): Promise<readonly ScheduleState[]>;
  /** Fires nothing until it is resumed. A run that is at work goes on. */
  pause(id: string): Promise<void>;
  /** Goes on; what passed meanwhile is for its misfire policy. */
  resume(id: string): Promise<void>;
  /** Forgets it. Throws InvalidOption for one that a `cron()` in the code of schedulers declares. */
  remove(id: string): Promise<void>;
  /** Fires now, as a slot of its own, past any pause; overlap applies. */
  trigger(id: string): Promise<RunHandle<unknown>>;
  /**
   * Fires the slots of a past range, both ends included, that did not fire; oldest first, and each once however often it is asked.
   * What the schedule still has to decide on itself is left to it. At most 10,000 slots. Throws InvalidOption.
   */
  backfill(id: string, range: { readonly from: Date; readonly until: Date }): Promise<readonly RunHandle<unknown>[]>;
}

/** How a schedule stands. */
export interface ScheduleState {
  readonly id: string;
  readonly task: string;
  readonly cron: string;
  readonly timezone: string;
  readonly isPaused: boolean;
  /** The last slot that was acted on: fired, skipped or missed. */
  readonly lastSlot: Date | undefined;
  /** The next three slots; none while it is paused, and when it has no more. */
  readonly next: readonly Date[];
  /** The run that holds its overlap lock, if that is on the broker's own Redis. */
  readonly lockHolder: string | undefined;
}

/** What is asked of an upsert, checked but for the input. */
export interface ScheduleRequest {
  readonly task: TaskRecord;
  readonly cron: CronRecord;
  readonly input: unknown;
}

/** What schedules ask of the engine. Instants in ms. */
export interface SchedulePort extends Omit<Schedules, "upsert" | "backfill"> {
  upsert(id: string, request: ScheduleRequest): Promise<void>;
  backfill(
    id: string,
    range: { readonly from: number; readonly until: number },
  ): Promise<readonly RunHandle<unknown>[]>;
}

/** What task objects, and the broker's schedules, ask of the engine. */
export interface EnginePort extends DispatchPort {
  readonly schedules: SchedulePort;
}
