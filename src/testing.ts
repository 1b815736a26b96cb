// biome-ignore-all lint/suspicious/noExplicitAny: a test broker holds tasks of any input and result
import type { EventType, LedgerEvent } from "../streams/events.ts";
import type { Broker } from "./define/broker.ts";
import type { DispatchOptions, TaskRef } from "./define/dispatch.ts";
import { type Duration, durationMs } from "./define/duration.ts";
import { definitionOf, type Projection } from "./define/projection.ts";
import type { DomainEvent, Topic } from "./define/topic.ts";
import type { Override } from "./di/provider.ts";
import { engineOf } from "./engine.ts";
import { invalidOption } from "./errors.ts";
import { isOver, openBook } from "./playing/book.ts";
import { foldChecked } from "./playing/fold.ts";
import { type Player, playDue } from "./playing/play.ts";
import { fireSlot, playingPort } from "./playing/port.ts";
import { playingSchedules, schedulesOf, slotAfter } from "./playing/schedules.ts";
import type { Slot } from "./run.ts";

/** A dispatch that a test broker kept. */
export interface Dispatched<Input> {
  readonly id: string;
  readonly input: Input;
  readonly options: DispatchOptions;
}

/** A broker off Redis. */
export interface TestBroker extends Disposable {
  /** What was dispatched of one task, in order. */
  dispatched<Input>(task: TaskRef<Input, any>): readonly Dispatched<Input>[];
  /** What was published on one topic, in order. */
  published<Data, Payload>(topic: Topic<Data, Payload>): readonly DomainEvent<Payload>[];
  /** Runs what is due, and what that dispatches or publishes to subscribers, until nothing is; retries included, without their wait. Rejects with the error of the first run that died, unless told to keep it. */
  drain(options?: { readonly died?: "throw" | "keep" }): Promise<void>;
  /** Moves the clock, running delays, retries and crons as they fall due. What dies is kept. */
  advance(by: Duration): Promise<void>;
  /** Everything that was recorded, oldest first. */
  readonly events: readonly LedgerEvent[];
}

/** What a test broker may be told. */
export interface TestBrokerOptions {
  /** Values in the place of providers, for all runs. */
  readonly overrides?: readonly Override[];
  /** Where its clock begins. Default: now. */
  readonly now?: Date;
}

/**
 * Takes a broker off Redis until disposed: `using t = testBroker(broker)`. Inputs and results cross JSON as they would.
 * What a run publishes once it has succeeded becomes a run of each subscription of `broker.on`; one that does not fit is an `event.refused` among the events.
 * Leases, fencing, locks and concurrency are not played: for those, use real servers.
 */
export function testBroker(broker: Broker, { overrides = [], now = new Date() }: TestBrokerOptions = {}): TestBroker {
  const engine = engineOf(broker);
  const book = openBook(now.getTime());
  const player: Player = { engine, book, overrides };
  const standing = engine.standIn({ ...playingPort(player), schedules: playingSchedules(player) });
  return {
    events: book.events,
    dispatched: (task) =>
      book.runs
        .filter((run) => run.task.name === task.name)
        .map((run) => ({
          id: run.id,
          input: run.body === "" ? undefined : JSON.parse(run.body),
          options: run.options,
        })),
    published: <Payload>(topic: { readonly name: string }) =>
      (book.published.get(topic.name) ?? []) as DomainEvent<Payload>[],
    async drain({ died = "throw" } = {}) {
      const [first] = await playDue(player, { retries: true });
      if (first !== undefined && died === "throw") throw first.error;
    },
    async advance(by) {
      const until = book.now + durationMs(by, "by");
      await playDue(player, { retries: false });
      for (let next = nextInstant(player, until); next !== undefined; next = nextInstant(player, until)) {
        book.now = next;
        for (const schedule of schedulesOf(player))
          if (slotAfter(player, schedule, next - 1) === next)
            fireSlot(player, schedule, { at: next, trigger: "schedule" });
        await playDue(player, { retries: false });
      }
      book.now = until;
    },
    [Symbol.dispose]: () => standing[Symbol.dispose](),
  };
}

/** When something falls due next, up to an instant. */
function nextInstant(player: Player, until: number): number | undefined {
  const { book } = player;
  const runs = book.runs.filter((run) => !isOver(run)).map((run) => run.dueAt);
  const slots = schedulesOf(player)
    .map((schedule) => slotAfter(player, schedule, book.now))
    .filter((slot) => slot !== undefined);
  const next = Math.min(...[...runs, ...slots].filter((at) => at > book.now));
  return next <= until ? next : undefined;
}

/** An event as a test gives it: what it leaves out is filled in. */
export type GivenEvent = Partial<LedgerEvent> & { readonly type: EventType };

/**
 * Folds events and gives the rows, by key. What an event leaves out is filled in: `at` goes on by a second, `queue` is "default". Throws InvalidOption when a second pass, or other batch sizes,
 * give other rows; when a row does not fit its schema or its key; and when `fold` changes the row that it was given.
 */
export function foldOf<Row>(projection: Projection<Row>, events: readonly GivenEvent[]): ReadonlyMap<string, Row> {
  return foldChecked(definitionOf(projection), events) as ReadonlyMap<string, Row>;
}

/** A slot for the handler of a cron, as its `call` takes it. Throws InvalidOption for what is no instant. */
export function slotAt(at: Date | string): Slot {
  const instant = new Date(at);
  if (Number.isNaN(instant.getTime()))
    throw invalidOption("at", `"${String(at)}" is no instant: write 2026-01-31T06:00:00Z`);
  return { schedule: "test", at: instant, previous: undefined, timezone: "UTC", trigger: "manual" };
}
