import type { Settlement } from "../../streams/settle.ts";
import type { Clock } from "../clock.ts";
import { encodeResult } from "../define/payload.ts";
import { isPromise } from "../define/travelling.ts";
import type { Capacity } from "../deliver/capacity.ts";
import { type Hold, letGo, type WorkLane } from "../deliver/work-lane.ts";
import type { WorkerScope } from "../di/worker-scope.ts";
import { currentRun } from "../enqueue/current-run.ts";
import { timedOut } from "../errors.ts";
import type { Carrier, Ended, Middleware, Notice } from "../middleware.ts";
import { aroundExecute } from "./around-execute.ts";
import type { Attempt } from "./attempt.ts";
import { makeRunContext } from "./context.ts";
import { createDeadlines } from "./deadline.ts";
import { type Effect, invoke } from "./invoke.ts";
import { judge, type Outcome, type Verdict } from "./outcome.ts";
import { watchLock } from "./overlap.ts";
import type { Settler } from "./settle.ts";
import * as settlement from "./settlement.ts";

/** An attempt that may start. */
export type Launch = Pick<Attempt, "hold" | "record" | "meta" | "policies" | "input" | "lock"> & {
  /** Called when its slot is free again. */
  readonly onFree: (hold: Hold) => void;
};

/** What launching rests on. */
export interface LauncherParts {
  readonly clock: Clock;
  readonly capacity: Capacity;
  readonly scope: WorkerScope;
  readonly settlerOf: (workLane: WorkLane) => Settler;
  readonly middleware: () => readonly Middleware[];
  readonly maxPayloadBytes: number;
  readonly random: () => number;
  readonly announce: (notice: Notice) => void;
  /** Hears of each deadline as it is set. */
  readonly onDeadline: (deadlineAt: number) => void;
}

/** Runs attempts, from their start to what became of them. */
export interface Launcher {
  launch(launch: Launch): void;
  /** The latest deadline of what runs; 0 when nothing does. */
  latestDeadline(): number;
  close(): void;
}

/** Waits no longer than its deadline, and a little, for a handler: one that never comes back gives its slot away. */
export function createLauncher(parts: LauncherParts): Launcher {
  const { clock, capacity, settlerOf } = parts;
  const deadlines = createDeadlines<Attempt>(clock.elapsed, (attempt) => {
    const { record, policies, abortedBy } = attempt;
    if (attempt.isDue) {
      finish(attempt, { isSuccess: false, error: abortedBy });
      attempt.abandon?.(abortedBy);
      return;
    }
    attempt.isDue = true;
    attempt.deadlineAt = clock.elapsed() + patienceMs(policies.timeoutMs);
    attempt.told?.abort(timedOut(record.name, policies.timeoutMs));
  });

  const launch = (one: Launch) => {
    const attempt = attemptOf(one);
    const middleware = parts.middleware();
    if (!middleware.some((each) => each.execute !== undefined)) return void perform(attempt, one, carrierOf(attempt));
    const ended = new Promise<Ended>((resolve) => {
      attempt.onEnded = resolve;
    });
    aroundExecute(middleware, attempt, parts.announce, (carrier) => {
      perform(attempt, one, { ...carrierOf(attempt), ...carrier });
      return ended;
    });
  };

  const perform = (attempt: Attempt, { onFree }: Launch, carrier: Carrier) => {
    const { hold, policies } = attempt;
    attempt.carrier = carrier;
    attempt.startedAt = clock.elapsed();
    attempt.deadlineAt = attempt.startedAt + policies.timeoutMs;
    attempt.onFree = onFree;
    const settler = settlerOf(hold.workLane);
    if (!hold.delivery.isSuspect) {
      settler.started(hold, settlement.startOf(attempt));
      return begin(attempt, settler);
    }
    // What may have killed a process is struck before it gets another one.
    void settler.struck(hold, settlement.startOf(attempt)).then((isOurs) => {
      if (isOurs && hold.phase !== "gone") return begin(attempt, settler);
      capacity.shift(hold, "gone");
      letGo(hold);
      over(attempt, { kind: "fenced", durationMs: 0 });
    });
  };

  const begin = (attempt: Attempt, settler: Settler) => {
    const effects: Effect[] = [];
    const told = makeRunContext(attempt, {
      clock,
      note: (event) => settler.note(event, attempt.hold),
      onExtended: (one) => {
        deadlines.moved(one);
        parts.onDeadline(one.deadlineAt);
      },
      onCommit: (effect) => effects.push(effect),
    });
    attempt.told = told;
    attempt.hold.abort = told.abort;
    deadlines.add(attempt);
    parts.onDeadline(attempt.deadlineAt);
    if (attempt.lock !== undefined) attempt.unwatch = watchLock(attempt.lock, () => overrun(attempt, settler));
    const { record, input, meta, carrier, hold } = attempt;
    const { run } = hold.delivery.entry;
    const { context } = told;
    let result: unknown;
    try {
      const call = {
        record,
        input,
        scope: parts.scope,
        context,
        effects,
        keep: (given: unknown) => keep(attempt, given),
      };
      result = currentRun.run({ run, root: meta.root ?? run, carrier }, invoke, call);
    } catch (error) {
      return finish(attempt, failure(attempt, error));
    }
    if (!isPromise(result)) return finish(attempt, { isSuccess: true, value: result });
    result.then(
      (value) => finish(attempt, { isSuccess: true, value }),
      (error: unknown) => finish(attempt, failure(attempt, error)),
    );
  };

  const overrun = (attempt: Attempt, settler: Settler) => {
    settler.note({ type: "run.overran", ...settlement.ofAttempt(attempt), reason: "lock_expired" });
    const facts = { task: attempt.record.name, run: attempt.hold.delivery.entry.run };
    parts.announce({
      kind: "problem",
      what: "a cron run has outlived its overlap lock, and another may start beside it: raise lockTtl, or call run.extend()",
      facts,
    });
  };
  /** The result is written as JSON while its providers can still roll back. */
  const keep = (attempt: Attempt, given: unknown): unknown => {
    if (!isPromise(given)) return write(attempt, given);
    return new Promise((resolve, reject) => {
      attempt.abandon = reject;
      given.then((value) => resolve(write(attempt, value))).catch(reject);
    });
  };
  const write = (attempt: Attempt, value: unknown): unknown => {
    if (value === undefined && attempt.record.output === undefined) return undefined;
    const note = (encoded: { readonly json: string }) => {
      attempt.resultJson = encoded.json;
      return value;
    };
    const refuse = (error: unknown): never => {
      attempt.isResultBad = true;
      throw error;
    };
    try {
      const encoded = encodeResult(attempt.record, value, parts.maxPayloadBytes);
      return isPromise(encoded) ? encoded.then(note, refuse) : note(encoded);
    } catch (error) {
      return refuse(error);
    }
  };
  const finish = (attempt: Attempt, outcome: Outcome) => {
    if (attempt.isOver) return;
    const durationMs = Math.round((clock.elapsed() - attempt.startedAt) * 10) / 10;
    const { hold, policies, abortedBy } = attempt;
    const verdict = judge({
      outcome,
      abortedBy,
      attempt: hold.delivery.entry.attempt,
      retry: policies.retry,
      random: parts.random,
      report: (problem) =>
        parts.announce({
          kind: "problem",
          what: problem,
          facts: { task: attempt.record.name, run: hold.delivery.entry.run },
        }),
    });
    attempt.isOver = true;
    deadlines.remove(attempt);
    attempt.unwatch?.();
    settleVerdict(attempt, verdict, durationMs);
    over(attempt, endedOf(verdict, durationMs));
  };

  const settleVerdict = (attempt: Attempt, verdict: Verdict, durationMs: number) => {
    const { hold } = attempt;
    const settler = settlerOf(hold.workLane);
    const progress = attempt.told?.close();
    if (verdict.kind === "released" || verdict.kind === "dropped") {
      capacity.shift(hold, "gone");
      letGo(hold);
      return;
    }
    const what = settlementOf(attempt, verdict, durationMs);
    const whole = progress === undefined ? what : { ...what, events: [progress, ...what.events] };
    const { lock } = attempt;
    settler.conclude(
      hold,
      whole,
      lock === undefined ? undefined : (accepted) => afterwards(attempt, verdict, accepted),
    );
  };
  /** The lock goes with the ending; over a retry's delay it is kept. */
  const afterwards = (attempt: Attempt, verdict: Verdict, accepted: Settlement | undefined) => {
    const { lock, record } = attempt;
    if (lock === undefined || accepted === undefined) return; // the delivery that is current has it, under the same value
    const ttl = record.cron?.lockTtlMs ?? 0;
    const isKept = verdict.kind === "retried" && accepted.kind === "moved";
    const done = isKept ? lock.extend(verdict.delayMs + ttl) : lock.release();
    Promise.resolve(done).catch((error: unknown) =>
      parts.announce({ kind: "problem", what: "an overlap lock could not be let go; it ends by itself", error }),
    );
  };

  const over = (attempt: Attempt, ended: Ended) => {
    attempt.isOver = true;
    attempt.hold.abort = undefined;
    attempt.onFree?.(attempt.hold);
    attempt.onEnded?.(ended);
  };

  return { launch, latestDeadline: deadlines.latest, close: deadlines.close };
}

/** How long a handler is waited for once it has been told to stop: a tenth of its timeout, from a quarter of a second to five. */
function patienceMs(timeoutMs: number): number {
  return Math.min(5_000, Math.max(250, timeoutMs / 10));
}

function failure(attempt: Attempt, error: unknown): Outcome {
  return { isSuccess: false, error, isOfResult: attempt.isResultBad };
}

function settlementOf(attempt: Attempt, verdict: Verdict, durationMs: number) {
  if (verdict.kind === "succeeded") return settlement.success(attempt, durationMs);
  if (verdict.kind === "retried") return settlement.retry(attempt, durationMs, verdict);
  if (verdict.kind === "died") return settlement.death(attempt, durationMs, verdict);
  return settlement.cancellation(attempt, durationMs);
}

function endedOf(verdict: Verdict, durationMs: number): Ended {
  if (verdict.kind === "succeeded") return { kind: "succeeded", durationMs };
  const kinds = {
    retried: "failed",
    died: "died",
    cancelled: "cancelled",
    released: "interrupted",
    dropped: "fenced",
  } as const;
  return { kind: kinds[verdict.kind], durationMs, error: verdict.error };
}

function carrierOf({ meta }: Attempt): Carrier {
  return meta.traceparent === undefined ? none : { traceparent: meta.traceparent, tracestate: meta.tracestate };
}
const none: Carrier = Object.freeze({});

function attemptOf(launch: Launch): Attempt {
  const { hold, record, meta, policies, input, lock, onFree } = launch;
  return {
    hold,
    record,
    meta,
    policies,
    input,
    lock,
    carrier: none,
    startedAt: 0,
    deadlineAt: 0,
    abortedBy: undefined,
    isDue: false,
    isOver: false,
    told: undefined,
    resultJson: "",
    isResultBad: false,
    abandon: undefined,
    onEnded: undefined,
    unwatch: undefined,
    onFree,
  };
}
