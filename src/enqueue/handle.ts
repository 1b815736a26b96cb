import { inspect } from "node:util";
import type { LedgerEvent } from "../../streams/events.ts";
import { isRunId } from "../../streams/ids.ts";
import { laneKeys } from "../../streams/keys.ts";
import { CallFailed, type Lane, laneIncarnation } from "../../streams/lane.ts";
import { hasEnded, type RunState } from "../../streams/run.ts";
import { cancel } from "../../streams/schedules.ts";
import { DEFAULTS } from "../defaults.ts";
import { type Duration, durationMs } from "../define/duration.ts";
import { checkKeys, shown } from "../define/options.ts";
import { decodeResult } from "../define/payload.ts";
import type { Policies } from "../define/policy.ts";
import type { TaskRecord } from "../define/task.ts";
import { invalidOption, redisUnavailable, resultTimeout, runUnknown } from "../errors.ts";
import type { RunHandle, RunStatus } from "../run.ts";
import { Unanswered } from "./ask.ts";
import type { EndingWatch } from "./await-ending.ts";
import type { Landing } from "./coalesce.ts";
import { findLane, type Places } from "./find-lane.ts";
import { resultOf } from "./result.ts";
import type { Written } from "./send-in-session.ts";
import type { Sent } from "./sent.ts";
import { startOf } from "./tail.ts";
import { historyOf, type Trace, traceRun, type Whereabouts } from "./trace.ts";

/** What handles ask, and whom. */
export interface HandleParts extends Places {
  readonly watch: EndingWatch;
  readonly lane: (queue: string) => Promise<Lane>;
  readonly answerWithinMs: () => number;
  readonly defaults: Policies;
}

/** Makes holds on runs. */
export interface Handles {
  /** Of a run that was just dispatched. */
  ofSent(task: TaskRecord, sent: Sent): RunHandle<unknown>;
  /** Of a run that a transaction has written: it will be in Redis once that has committed. */
  ofWritten(task: TaskRecord, written: Written): RunHandle<unknown>;
  /** Of one that was just made in a queue. */
  ofRun(run: string, queue: string): RunHandle<unknown>;
  /** Of one that is known by its id. Throws InvalidOption for what cannot be one. */
  ofId(task: TaskRecord | undefined, id: string): RunHandle<unknown>;
}

/** A run that is held. Its lane is looked up when it is needed first. */
interface Held {
  readonly run: string;
  readonly task: TaskRecord | undefined;
  /** Undefined: it has to be found. */
  readonly queue: string | undefined;
  /** Where it was taken, when it was new then. */
  readonly landing?: Landing | undefined;
  /** Where the ledger tells of it, or will. */
  readonly ledgerId?: string | undefined;
}

/** Where a run was taken, or will be; undefined: its queue has to be found. */
type Where = Sent | (Pick<Held, "queue" | "ledgerId"> & { readonly call?: undefined }) | undefined;

/** What a handle holds. Symbols, and methods that all handles of a broker share: with functions of their own, handles were the better part of what a dispatch left to the garbage collector. */
const TASK = Symbol("task");
const WHERE = Symbol("where");

type Holding = RunHandle<unknown> & { readonly [TASK]: TaskRecord | undefined; readonly [WHERE]: Where };

type Own = Pick<Holding, "id" | "isNew" | typeof TASK | typeof WHERE>;

/** Makes holds on the runs of one broker. A hold costs nothing until it is asked something. */
export function createHandles(parts: HandleParts): Handles {
  /** Of a class: see OnItsWay. */
  class Handle implements Own {
    declare readonly id: string;
    declare readonly isNew: boolean;
    declare readonly [TASK]: TaskRecord | undefined;
    declare readonly [WHERE]: Where;
    constructor({ run, task }: Pick<Held, "run" | "task">, isNew: boolean, where: Where) {
      this.id = run;
      this.isNew = isNew;
      this[TASK] = task;
      this[WHERE] = where;
    }
  }
  Object.assign(Handle.prototype, methodsOf(parts));
  const make = (of: Pick<Held, "run" | "task">, isNew: boolean, where: Where) =>
    new Handle(of, isNew, where) as unknown as RunHandle<unknown>;
  return {
    ofSent: (task, sent) => make({ run: sent.run, task }, sent.isNew, sent),
    // It is waited for, and not taken for unknown: the tail from its id's time on is where it will be.
    ofWritten: (task, { run, queue }) => make({ run, task }, true, { queue, ledgerId: startOf(run) }),
    ofRun: (run, queue) => make({ run, task: undefined }, true, { queue }),
    ofId(task, id) {
      if (typeof id !== "string" || !isRunId(id)) throw invalidOption("id", `${shown(id)} is not the id of a run`);
      return make({ run: id, task }, false, undefined);
    },
  };
}

function heldBy({ id, [TASK]: task, [WHERE]: where }: Holding): Held {
  if (where?.call === undefined) return { run: id, task, queue: where?.queue, ledgerId: where?.ledgerId };
  return { run: id, task, queue: where.queue, landing: where.isNew ? where : undefined };
}

function methodsOf(parts: HandleParts): Omit<RunHandle<unknown>, "id" | "isNew"> {
  const methods: ThisType<Holding> & Omit<RunHandle<unknown>, "id" | "isNew"> & { [inspect.custom](): object } = {
    status() {
      return told(parts, statusOf(parts, heldBy(this)));
    },
    result(options) {
      return told(parts, waitForResult(parts, heldBy(this), options));
    },
    cancel(reason) {
      return told(parts, cancelRun(parts, heldBy(this), reason));
    },
    events() {
      return told(parts, eventsOfRun(parts, heldBy(this)));
    },
    /** What a console shows: the broker, which is behind it, is none of a reader's business. */
    [inspect.custom]() {
      const { id, isNew } = this;
      return { id, isNew };
    },
  };
  return methods;
}

async function find(
  parts: HandleParts,
  { run, task, queue, landing, ledgerId }: Held,
): Promise<Whereabouts | undefined> {
  if (queue === undefined) return findLane(parts, run, task?.queue);
  return {
    run,
    queue,
    keys: laneKeys(parts.namespace(), queue),
    entryId: landing?.call.entryId(landing.index),
    ledgerId: ledgerId ?? (landing?.call.ledgerId || undefined),
  };
}

/** What is thrown when Redis does not answer is put into the words that users know. */
async function told<T>({ answerWithinMs }: HandleParts, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (!(error instanceof Unanswered || error instanceof CallFailed)) throw error;
    throw redisUnavailable(answerWithinMs(), error.cause);
  }
}

async function traced(parts: HandleParts, held: Held): Promise<[Trace, Whereabouts | undefined]> {
  const where = await find(parts, held);
  return [where === undefined ? { status: "unknown" } : await traceRun(parts.ask, where), where];
}

/** The run that stands for one which has joined it: both have the same key, and so the same lane. */
function standing({ task }: Held, run: string, where: Whereabouts): Held {
  return { run, task, queue: where.queue };
}

async function statusOf(parts: HandleParts, held: Held): Promise<RunStatus> {
  const [{ status, joined }, where] = await traced(parts, held);
  return joined === undefined || where === undefined ? status : statusOf(parts, standing(held, joined, where));
}

async function cancelRun(parts: HandleParts, held: Held, reason: string | undefined): Promise<boolean> {
  const [{ status, taskEntryId, isForgotten, joined }, where] = await traced(parts, held);
  if (joined !== undefined && where !== undefined) return cancelRun(parts, standing(held, joined, where), reason);
  if (where === undefined || (status === "unknown" && isForgotten !== true)) throw runUnknown(held.run);
  if (status === "unknown" || hasEnded(status as RunState)) return false;
  const lane = await parts.lane(where.queue);
  const request = { run: held.run, entryId: taskEntryId, task: held.task?.name, reason: storable(reason) };
  await cancel(lane, request, { deadline: performance.now() + parts.answerWithinMs() });
  return true;
}

/** Text that Postgres takes too, and of a length that an event can carry. */
function storable(text: string | undefined): string | undefined {
  return text === undefined ? undefined : String(text).toWellFormed().replaceAll("\0", "").slice(0, 1_000);
}

async function eventsOfRun(parts: HandleParts, held: Held): Promise<readonly LedgerEvent[]> {
  const where = await find(parts, held);
  if (where === undefined) throw runUnknown(held.run);
  const incarnation = await parts.ask((redis) => laneIncarnation(redis, where.keys));
  const history = await historyOf(parts.ask, where, { incarnation });
  const joined = history.find((event) => event.type === "run.joined")?.existing;
  return joined === undefined ? history : eventsOfRun(parts, standing(held, joined, where));
}

async function waitForResult(
  parts: HandleParts,
  held: Held,
  options: { readonly timeout?: Duration | undefined } = {},
): Promise<unknown> {
  checkKeys("result()", options, ["timeout"]);
  const { timeout } = options;
  const waitMs = timeout === undefined ? DEFAULTS.resultTimeoutMs : durationMs(timeout, "timeout");
  return resultBy(parts, held, { waitMs, deadline: performance.now() + waitMs });
}

async function resultBy(
  parts: HandleParts,
  held: Held,
  limit: { readonly waitMs: number; readonly deadline: number },
): Promise<unknown> {
  const { waitMs, deadline } = limit;
  const where = await find(parts, held);
  if (where === undefined) throw runUnknown(held.run);
  if (where.ledgerId === undefined) {
    const json = await resultJson(parts, where);
    if (json !== null) return (await decodeResult(held.task, json)).value;
  }
  let awaited = await parts.watch.ending(where, deadline);
  if (awaited === "untraced") {
    // Older than the ledger's tail, or not known at all; and it may have ended since it was looked for.
    const json = await resultJson(parts, where);
    if (json !== null) return (await decodeResult(held.task, json)).value;
    const { status } = await traceRun(parts.ask, where);
    if (status === "unknown") throw runUnknown(held.run);
    awaited = await parts.watch.ending({ ...where, ledgerId: "-" }, deadline);
  }
  if (typeof awaited === "string") throw resultTimeout(held.run, waitMs);
  if (awaited.event.type === "run.joined") return resultBy(parts, standing(held, awaited.event.existing, where), limit);
  const json = awaited.event.type === "run.succeeded" ? await resultJson(parts, where) : null;
  const nowMs = (await parts.lane(where.queue)).clock.now();
  const event = await withReason(parts, where, awaited.event);
  return resultOf({ task: held.task, event, json, nowMs, defaults: parts.defaults });
}

/** Why a run was cancelled is said by whoever asked for it; the ending may not repeat it. */
async function withReason({ ask }: HandleParts, where: Whereabouts, event: LedgerEvent): Promise<LedgerEvent> {
  if (event.type !== "run.cancelled" || event.reason !== undefined) return event;
  const request = (await historyOf(ask, where)).find(({ type }) => type === "run.cancel_requested");
  const { reason } = (request ?? {}) as { readonly reason?: string };
  return reason === undefined ? event : { ...event, reason };
}

function resultJson({ ask }: HandleParts, { keys, run }: Whereabouts): Promise<string | null> {
  return ask((redis) => redis.get(keys.result(run)));
}
