import { AsyncLocalStorage } from "node:async_hooks";
import type { Clock } from "../clock.ts";
import type { Capacity } from "../deliver/capacity.ts";
import { letGo, type WorkLane } from "../deliver/work-lane.ts";
import type { WorkerScope } from "../di/worker-scope.ts";
import { timedOut } from "../errors.ts";
import type { Ended, Middleware, Notice } from "../middleware.ts";
import { aroundAttempt } from "./around-attempt.ts";
import type { Attempt } from "./attempt.ts";
import { Begun, type Launch } from "./begun.ts";
import { conclude } from "./conclude.ts";
import { abort, type ContextParts, makeRunContext } from "./context.ts";
import { createDeadlines } from "./deadline.ts";
import { createInboxDeps } from "./inbox.ts";
import type { Outcome } from "./outcome.ts";
import { watchLock } from "./overlap.ts";
import { runHandler } from "./run-handler.ts";
import type { Settler } from "./settle.ts";
import { ofAttempt, startOf } from "./settlement.ts";

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
    abort(attempt, timedOut(record.name, policies.timeoutMs));
  });

  const contextParts: ContextParts = {
    clock,
    note: ({ hold }, event) => settlerOf(hold.workLane).note(event, hold),
    onExtended(attempt) {
      deadlines.moved(attempt);
      parts.onDeadline(attempt.deadlineAt);
    },
  };

  const launch = (one: Launch) => {
    const attempt = new Begun(one);
    aroundAttempt({ attempt, middleware: parts.middleware(), announce: parts.announce }, perform);
  };

  const perform = (attempt: Attempt) => {
    const { hold, policies } = attempt;
    if (hold.phase === "gone") return forget(attempt);
    attempt.startedAt = clock.elapsed();
    attempt.deadlineAt = attempt.startedAt + policies.timeoutMs;
    const settler = settlerOf(hold.workLane);
    if (!hold.delivery.isSuspect) {
      settler.started(hold, startOf(attempt));
      return begin(attempt, settler);
    }
    // What may have killed a process is struck before it gets another one.
    void settler.struck(hold, startOf(attempt)).then((isOurs) => {
      if (!isOurs || hold.phase === "gone") return forget(attempt);
      attempt.startedAt = clock.elapsed();
      attempt.deadlineAt = attempt.startedAt + policies.timeoutMs;
      begin(attempt, settler);
    });
  };

  const begin = (attempt: Attempt, settler: Settler) => {
    attempt.hold.abort = (reason) => abort(attempt, reason);
    deadlines.add(attempt);
    parts.onDeadline(attempt.deadlineAt);
    if (attempt.lock !== undefined) attempt.unwatch = watchLock(attempt.lock, () => overrun(attempt, settler));
    runHandler(attempt, makeRunContext(attempt, contextParts), handlerParts);
  };
  const overrun = (attempt: Attempt, settler: Settler) => {
    settler.note({ type: "run.overran", ...ofAttempt(attempt), reason: "lock_expired" }, attempt.hold);
    const facts = { task: attempt.record.name, run: attempt.hold.delivery.entry.run };
    const what =
      "a cron run has outlived its overlap lock, and another may start beside it: raise lockTtl, or call extend()";
    parts.announce({ kind: "problem", what, facts });
  };

  const finish = (attempt: Attempt, outcome: Outcome) => {
    if (attempt.isOver) return;
    attempt.durationMs = Math.round((clock.elapsed() - attempt.startedAt) * 10) / 10;
    attempt.isOver = true;
    deadlines.remove(attempt);
    attempt.unwatch?.();
    free(attempt, conclude(attempt, outcome, parts));
  };
  const { scope, maxPayloadBytes } = parts;
  const outside = AsyncLocalStorage.snapshot();
  const handlerParts = { scope, maxPayloadBytes, inboxDeps: createInboxDeps(), finish, outside };
  const forget = (attempt: Attempt) => {
    capacity.shift(attempt.hold, "gone");
    letGo(attempt.hold);
    free(attempt, { kind: "fenced", durationMs: 0 });
  };
  const free = (attempt: Attempt, ended: Ended) => {
    attempt.isOver = true;
    attempt.hold.abort = undefined;
    attempt.onFree(attempt.hold);
    attempt.onEnded?.(ended);
  };

  return { launch, latestDeadline: deadlines.latest, close: deadlines.close };
}

/** How long a handler is waited for once it has been told to stop: a tenth of its timeout, from a quarter of a second to five. */
function patienceMs(timeoutMs: number): number {
  return Math.min(5_000, Math.max(250, timeoutMs / 10));
}
