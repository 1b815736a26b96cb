import { createRunIds } from "../../streams/ids.ts";
import { durationMs } from "../define/duration.ts";
import type { TaskRecord } from "../define/task.ts";
import { invalidOption, timedOut } from "../errors.ts";
import type { RunContext, Slot } from "../run.ts";
import type { Effect } from "./invoke.ts";

/** The context of a handler that is called in place, and the strings to it. */
export interface InlineContext {
  readonly context: RunContext;
  readonly effects: readonly Effect[];
  /** Rejects when the handler has not come back a while after its time was up. */
  readonly abandoned: Promise<never>;
  /** Stops its clock. */
  close(): void;
}

/** How long a handler is waited for once its signal is aborted: a tenth of its timeout, from a quarter of a second to five. */
function patienceMs(timeoutMs: number): number {
  return Math.min(5_000, Math.max(250, timeoutMs / 10));
}

/** The run that a context is of. */
export interface InlineRun {
  readonly id: string;
  readonly attempt: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly enqueuedAt: Date;
}

/** A run that nobody dispatched. */
function ownRun(record: TaskRecord): InlineRun {
  return { id: createRunIds(record.queue)(Date.now()), attempt: 1, labels: Object.freeze({}), enqueuedAt: new Date() };
}

/** A context without a run in Redis behind it: nothing is recorded, the timeout holds, effects are kept. */
export function makeInlineContext(
  record: TaskRecord,
  timeoutMs: number,
  { slot, run = ownRun(record) }: { readonly slot?: Slot | undefined; readonly run?: InlineRun | undefined },
): InlineContext {
  const { id, attempt, labels, enqueuedAt } = run;
  const controller = new AbortController();
  const effects: Effect[] = [];
  const { promise: abandoned, reject } = Promise.withResolvers<never>();
  abandoned.catch(() => {}); // whether anybody waits depends on what the handler gave
  let timer: NodeJS.Timeout;
  const arm = (ms: number) => {
    timer = setTimeout(() => {
      const reason = timedOut(record.name, timeoutMs);
      controller.abort(reason);
      timer = setTimeout(reject, patienceMs(timeoutMs), reason);
    }, ms);
  };
  arm(Math.min(timeoutMs, LONGEST_TIMER_MS));
  const context: RunContext = {
    id,
    task: record.name,
    queue: record.queue,
    attempt,
    signal: controller.signal,
    fencingToken: String(attempt * 65_536 + 1),
    ...(slot === undefined ? undefined : { slot }),
    enqueuedAt,
    labels,
    traceId: undefined,
    bindings: Object.freeze({ run: id, task: record.name, attempt }),
    progress: () => {},
    async extend(by) {
      const ms = durationMs(by, "by");
      if (controller.signal.aborted) throw controller.signal.reason;
      clearTimeout(timer);
      arm(Math.min(ms, LONGEST_TIMER_MS));
    },
    onCommit(effect) {
      if (typeof effect !== "function") throw invalidOption("onCommit", "takes a function");
      effects.push(effect);
    },
  };
  return { context, effects, abandoned, close: () => clearTimeout(timer) };
}

/** Node fires timers of more than 2^31 - 1 ms at once. */
const LONGEST_TIMER_MS = 2_147_483_647;
