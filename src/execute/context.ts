import { inspect } from "node:util";
import type { EventDraft } from "../../streams/events.ts";
import type { Clock } from "../clock.ts";
import { type Duration, durationMs } from "../define/duration.ts";
import { invalidOption, lockLost, type TasktrailError, timedOut } from "../errors.ts";
import type { RunContext, Slot } from "../run.ts";
import type { Attempt, Progress } from "./attempt.ts";
import { cleanText } from "./recorded-error.ts";
import { ofAttempt } from "./settlement.ts";

/** `run.progressed` is recorded at most so often, in ms. */
const PROGRESS_EVERY_MS = 1_000;

/** What a context works with. */
export interface ContextParts {
  readonly clock: Clock;
  /** Records what changes no state. */
  readonly note: (attempt: Attempt, event: EventDraft) => void;
  /** Called when the deadline was moved. */
  readonly onExtended: (attempt: Attempt) => void;
}

/** The third argument of a handler. What costs something is made when it is asked for. */
export function makeRunContext(attempt: Attempt, parts: ContextParts): RunContext {
  const { meta, hold } = attempt;
  const { entry } = hold.delivery;
  const context = Object.create(shared) as Writable<Own>;
  context.id = entry.run;
  context.task = entry.task;
  context.queue = hold.workLane.queue;
  context.attempt = entry.attempt;
  context.labels = meta.labels ?? noLabels;
  context[OF] = attempt;
  context[PARTS] = parts;
  if (meta.cron !== undefined) context.slot = slotOf(meta.cron);
  return context;
}

const OF = Symbol("of");
const PARTS = Symbol("parts");

/** A context, and what its getters work with. */
interface Own extends RunContext {
  readonly [OF]: Attempt;
  readonly [PARTS]: ContextParts;
}

type Writable<T> = { -readonly [K in keyof T]: T[K] };

/** What all contexts share: accessors and closures made for each run cost four times as much as the rest of it. */
const shared = {
  get signal(): AbortSignal {
    const of = (this as unknown as Own)[OF];
    of.controller ??= new AbortController();
    if (of.abortedBy !== undefined && !of.controller.signal.aborted) of.controller.abort(of.abortedBy);
    return of.controller.signal;
  },
  get fencingToken(): string {
    const { entry, delivery } = (this as unknown as Own)[OF].hold.delivery;
    return String(entry.attempt * 65_536 + delivery);
  },
  get enqueuedAt(): Date {
    return new Date((this as unknown as Own)[OF].meta.enqueuedAt);
  },
  get traceId(): string | undefined {
    return (this as unknown as Own)[OF].carrier.traceparent?.split("-")[1];
  },
  get bindings(): RunContext["bindings"] {
    const { id: run, task, attempt, traceId } = this as unknown as Own;
    return traceId === undefined ? { run, task, attempt } : { run, task, attempt, trace_id: traceId };
  },
  // Functions that handlers may take out of the context.
  get progress(): RunContext["progress"] {
    const { [OF]: of, [PARTS]: parts } = this as unknown as Own;
    return (done, total, note) => {
      of.progress ??= trackProgress(of, parts);
      of.progress.report(done, total, note);
    };
  },
  get extend(): RunContext["extend"] {
    const { [OF]: of, [PARTS]: parts } = this as unknown as Own;
    return (by) => extend(of, parts, by);
  },
  get onCommit(): RunContext["onCommit"] {
    const of = (this as unknown as Own)[OF];
    return (effect) => {
      if (typeof effect !== "function") throw invalidOption("onCommit", "takes a function");
      of.effects ??= [];
      of.effects.push(effect);
    };
  },
  /** Whoever logs a context sees the run, and not the engine behind it. */
  [inspect.custom](): object {
    const { id, task, queue, attempt, labels, slot } = this as unknown as Own;
    return slot === undefined ? { id, task, queue, attempt, labels } : { id, task, queue, attempt, labels, slot };
  },
};

/** Tells an attempt's handler to stop. The first reason is the one that counts. */
export function abort(attempt: Attempt, reason: TasktrailError): void {
  attempt.abortedBy ??= reason;
  attempt.controller?.abort(attempt.abortedBy);
}

async function extend(attempt: Attempt, { clock, onExtended }: ContextParts, by: Duration): Promise<void> {
  const ms = durationMs(by, "by");
  const { lock, abortedBy, record } = attempt;
  if (abortedBy !== undefined) throw abortedBy;
  if (attempt.isOver) throw timedOut(record.name, attempt.policies.timeoutMs);
  attempt.deadlineAt = clock.elapsed() + ms;
  onExtended(attempt);
  if (lock !== undefined && !(await lock.extend(ms))) throw lockLost(record.name);
}

const noLabels: Readonly<Record<string, string>> = Object.freeze({});

/** The slot that a cron run is for, as handlers see it. */
export function slotOf(slot: NonNullable<Attempt["meta"]["cron"]>): Slot {
  const { schedule, at, previous, timezone, trigger } = slot;
  return {
    schedule,
    at: new Date(at),
    previous: previous === undefined ? undefined : new Date(previous),
    timezone,
    trigger,
  };
}

/** The first report goes out at once, later ones when a second has passed; the last one is kept for the end. */
function trackProgress(attempt: Attempt, { clock, note }: ContextParts): Progress {
  let unsent: { done: number; total: number | undefined; text: string | undefined } | undefined;
  let sentAt = Number.NEGATIVE_INFINITY;
  let timer: NodeJS.Timeout | undefined;

  const take = (): EventDraft<"run.progressed"> | undefined => {
    clearTimeout(timer);
    timer = undefined;
    if (unsent === undefined) return undefined;
    const { done, total, text } = unsent;
    unsent = undefined;
    sentAt = clock.elapsed();
    return {
      type: "run.progressed",
      ...ofAttempt(attempt),
      done,
      ...(total === undefined ? undefined : { total }),
      ...(text === undefined ? undefined : { note: text }),
    };
  };
  const send = () => {
    const event = take();
    if (event !== undefined) note(attempt, event);
  };
  return {
    report(done: number, total?: number, text?: string) {
      if (!Number.isFinite(done) || (total !== undefined && !Number.isFinite(total)))
        throw invalidOption("progress", `${done} of ${total} are no numbers`);
      if (attempt.isOver) return;
      unsent = { done, total, text: text === undefined ? undefined : cleanText(String(text), 1_000) };
      const wait = sentAt + PROGRESS_EVERY_MS - clock.elapsed();
      if (wait <= 0) send();
      else timer ??= setTimeout(send, wait).unref();
    },
    close: take,
  };
}
