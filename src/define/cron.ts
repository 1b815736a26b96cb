// biome-ignore-all lint/suspicious/noExplicitAny: what is inferred has to be left open, and `unknown` would close it
// biome-ignore-all lint/complexity/noBannedTypes: `{}` is what a task without dependencies needs, and how editors show it
import { type Clock, systemClock } from "../clock.ts";
import type { Deps, Override, Values } from "../di/provider.ts";
import { invalidOption } from "../errors.ts";
import type { RunContext, RunHandle, Slot } from "../run.ts";
import type { Duration } from "./duration.ts";
import type { JsonCheck } from "./json-check.ts";
import { wholeNumber } from "./options.ts";
import { nextSlots } from "./pattern.ts";
import type { Policies } from "./policy.ts";
import type { Awaitable, DispatchPort, Named, Overrides, TaskHost, TaskRecord } from "./task.ts";

/** When a cron fires, and what it does about overlap and about slots that were missed. */
export interface CronPolicies {
  /** Overlap lock, from the run's start to its end. A number is seconds. Held: the slot is skipped, and recorded. Default "5m". */
  readonly lockTtl?: number | Duration | undefined;
  /** IANA name. Default "UTC". */
  readonly timezone?: string | undefined;
  /** What to do while the run before still runs. Default "skip". */
  readonly overlap?: "skip" | "allow" | "queue_one" | "cancel_other" | undefined;
  /** What to do with slots that passed while no scheduler ran. Default "fire_once". */
  readonly misfire?: "skip" | "fire_once" | "fire_all" | undefined;
  /** How far back `misfire` looks. Default "1h". */
  readonly catchUp?: Duration | undefined;
  /** A random wait before each fire, up to this. Default none. */
  readonly jitter?: Duration | undefined;
  /** No slot before it fires. Default: none is held back. */
  readonly startsAt?: Date | undefined;
  /** No slot after it fires. Default: never ends. */
  readonly endsAt?: Date | undefined;
  /** Stops after this many fires. Default: never. */
  readonly maxRuns?: number | undefined;
}

/** A cron with its handler. */
export interface CronDefinition<D extends Deps, Result> extends Named, CronPolicies, Policies {
  /** Opened before the handler, in order; closed after it, in reverse. */
  readonly deps?: D | undefined;
  /** The handler. Its first argument is the slot that it is for. */
  run(this: void, slot: Slot, deps: Values<D>, run: RunContext): Awaitable<Result>;
}

type Words<S extends string, Count extends 0[] = []> = S extends `${string} ${infer Rest}`
  ? Words<Rest, [...Count, 0]>
  : [...Count, 0]["length"];
/** Refuses literals that have not five fields. What the fields say is checked when the cron is defined. */
export type CronCheck<S extends string> = string extends S
  ? S
  : Words<S> extends 5
    ? S
    : Words<S> extends 6
      ? "six fields: seconds are not supported; write minute, hour, day of month, month, day of week"
      : "a cron expression has five fields: minute, hour, day of month, month, day of week";

/** A task that the scheduler dispatches. */
export interface CronTask<out Result, in Deps = {}> {
  readonly name: string;
  readonly expression: string;
  readonly timezone: string;
  /** Fires now, as a slot of its own, past any pause; overlap applies. */
  trigger(): Promise<RunHandle<Result>>;
  /** Runs the handler here and now; `slot` defaults to this instant. */
  call(slot?: Partial<Slot>, overrides?: Partial<Deps> | readonly Override[]): Promise<Result>;
  /** The next instants. Default 3. */
  next(count?: number): Date[];
  /** A hold on one of its runs, by its id. */
  handle(id: string): RunHandle<Result>;
}

/**
 * Declares a task that the scheduler dispatches. `minute hour day-of-month month day-of-week`.
 * Throws InvalidOption when it is defined, with the mistake marked, for an expression or a time zone that cannot be.
 */
export function cron<const Expression extends string, D extends Deps = {}, Result = void>(
  broker: TaskHost,
  expression: CronCheck<Expression>,
  definition: CronDefinition<D, Result> & JsonCheck<Result, "run", "result">,
): CronTask<Result, Values<D>> {
  return broker.register({ ...(definition as CronDefinition<D, Result>), kind: "tasktrail.cron", expression });
}

/** The cron object that users hold. */
export function makeCronTask(record: TaskRecord, port: DispatchPort, clock: Clock = systemClock): CronTask<any, any> {
  const { cron: when } = record;
  if (when === undefined) throw invalidOption("cron", `task "${record.name}" is on no schedule`);
  return {
    name: record.name,
    expression: when.expression,
    timezone: when.timezone,
    trigger: async () => port.trigger(record),
    call: async (slot, overrides) => port.call(record, undefined, slot, overrides as Overrides),
    next: (count = 3) => {
      const wanted = wholeNumber("count", count, { least: 0, most: 10_000 });
      const after = Math.max(clock.now(), (when.startsAtMs ?? 0) - 1);
      const slots = nextSlots(when, after, wanted).filter(
        (slot) => slot <= (when.endsAtMs ?? Number.POSITIVE_INFINITY),
      );
      return slots.map((slot) => new Date(slot));
    },
    handle: (id) => port.handle(record, id),
  };
}
