import type { Entry } from "../../streams/entry.ts";
import type { EventDraft } from "../../streams/events.ts";
import type { Clock } from "../clock.ts";
import { type Duration, durationMs } from "../define/duration.ts";
import { invalidOption, lockLost, type TasktrailError, timedOut } from "../errors.ts";
import type { RunContext, Slot } from "../run.ts";
import type { Abortable, Attempt } from "./attempt.ts";
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

/** The third argument of a handler. What costs something, such as the signal, is made when it is asked for. */
export function makeRunContext(attempt: Attempt, parts: ContextParts): Abortable {
  const { meta, hold, carrier } = attempt;
  const { entry, delivery } = hold.delivery;
  const traceId = carrier.traceparent?.split("-")[1];
  let controller: AbortController | undefined;
  let progress: Progress | undefined;
  const context: Writable<RunContext> = {
    id: entry.run,
    task: entry.task,
    queue: hold.workLane.queue,
    attempt: entry.attempt,
    get signal() {
      controller ??= new AbortController();
      if (attempt.abortedBy !== undefined && !controller.signal.aborted) controller.abort(attempt.abortedBy);
      return controller.signal;
    },
    fencingToken: String(entry.attempt * 65_536 + delivery),
    enqueuedAt: new Date(meta.enqueuedAt),
    labels: meta.labels ?? noLabels,
    traceId,
    bindings: bindingsOf(entry, traceId),
    progress(done, total, note) {
      progress ??= trackProgress(attempt, parts);
      progress.report(done, total, note);
    },
    extend: (by) => extend(attempt, parts, by),
    onCommit(effect) {
      if (typeof effect !== "function") throw invalidOption("onCommit", "takes a function");
      attempt.effects.push(effect);
    },
  };
  if (meta.cron !== undefined) context.slot = slotOf(meta.cron);
  return {
    context,
    abort(reason: TasktrailError) {
      attempt.abortedBy ??= reason;
      controller?.abort(attempt.abortedBy);
    },
    close: () => progress?.close(),
  };
}

type Writable<T> = { -readonly [K in keyof T]: T[K] };

function bindingsOf({ run, task, attempt }: Entry, traceId: string | undefined): RunContext["bindings"] {
  return traceId === undefined ? { run, task, attempt } : { run, task, attempt, trace_id: traceId };
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

interface Progress {
  report(done: number, total?: number, note?: string): void;
  close(): EventDraft<"run.progressed"> | undefined;
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
