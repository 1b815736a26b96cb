import { type CurrentRun, currentRun } from "../current-run.ts";
import { encodeResult } from "../define/payload.ts";
import type { TaskRecord } from "../define/task.ts";
import { isPromise } from "../define/travelling.ts";
import type { WorkerScope } from "../di/worker-scope.ts";
import type { RunContext } from "../run.ts";
import type { Attempt } from "./attempt.ts";
import { doneOnce, type InboxDeps, withInbox } from "./inbox.ts";
import { applyAfter, invoke } from "./invoke.ts";
import type { Outcome } from "./outcome.ts";

/** What handlers run with. */
export interface HandlerParts {
  readonly scope: WorkerScope;
  readonly maxPayloadBytes: number;
  readonly inboxDeps: InboxDeps;
  /** Calls a function in the context of the worker, and goes back to the one before. */
  readonly outside: <R, Args extends unknown[]>(run: (...args: Args) => R, ...args: Args) => R;
  /** Hears how an attempt came out. */
  readonly finish: (attempt: Attempt, outcome: Outcome) => void;
}

/** Runs an attempt's handler with its dependencies. `finish` hears how it came out, at once when there was nothing to wait for. */
export function runHandler(attempt: Attempt, context: RunContext, parts: HandlerParts): void {
  const record = recordOf(attempt, parts);
  if (isBare(record)) {
    runBare(attempt, context, parts);
    return;
  }
  const { input } = attempt;
  attempt.effects ??= [];
  const { effects } = attempt;
  const { scope, maxPayloadBytes, finish } = parts;
  const fail = (error: unknown) => finish(attempt, failure(attempt, error));
  const keep = (given: unknown) => keepResult(attempt, given, maxPayloadBytes);
  let result: unknown;
  try {
    const ran = currentRun.run(asCurrent(attempt), invoke, { record, input, scope, context, effects, keep });
    result = record === attempt.record ? ran : doneOnce(ran, keep);
  } catch (error) {
    fail(error);
    return;
  }
  if (isPromise(result)) result.then((value) => finish(attempt, { isSuccess: true, value }), fail);
  else finish(attempt, { isSuccess: true, value: result });
}

/** The task as it is, or with its inbox around the handler. */
function recordOf({ record, policies, hold }: Attempt, { inboxDeps, maxPayloadBytes }: HandlerParts): TaskRecord {
  const { inbox } = policies;
  if (inbox === undefined) return record;
  const { delivery, entry } = hold.delivery;
  const isFirst = delivery === 1 && entry.attempt === 1;
  return withInbox({ record, deps: inboxDeps(record, inbox), isFirst, maxPayloadBytes });
}

function isBare({ deps }: TaskRecord): boolean {
  for (const _ in deps) return false;
  return true;
}

/** A handler without dependencies: nothing could roll back, and nothing has to close when it is abandoned, so that no promise is made between its own and its end. */
function runBare(attempt: Attempt, context: RunContext, parts: HandlerParts): void {
  let given: unknown;
  try {
    given = attempt.isEntered
      ? currentRun.run(asCurrent(attempt), callBare, attempt, context)
      : parts.outside(enterAndCallBare, attempt, context);
  } catch (error) {
    parts.finish(attempt, failure(attempt, error));
    return;
  }
  if (!isPromise(given)) takeBare(attempt, given, parts);
  else
    given.then(
      (value) => takeBare(attempt, value, parts),
      (error) => parts.finish(attempt, failure(attempt, error)),
    );
}

/** What calls this leaves the context again: for `run` to do so takes as long as to enter it. */
function enterAndCallBare(attempt: Attempt, context: RunContext): unknown {
  currentRun.enterWith(asCurrent(attempt));
  return callBare(attempt, context);
}

function callBare({ record, input }: Attempt, context: RunContext): unknown {
  return (record.run as NonNullable<TaskRecord["run"]>)(input, none, context);
}

function takeBare(attempt: Attempt, value: unknown, { maxPayloadBytes, finish }: HandlerParts): void {
  if (attempt.isOver) return; // nobody waits for it any more
  const { effects } = attempt;
  let kept: unknown;
  try {
    kept = write(attempt, value, maxPayloadBytes);
    if (effects !== undefined) kept = currentRun.run(asCurrent(attempt), applyAfter, effects, kept);
  } catch (error) {
    finish(attempt, failure(attempt, error));
    return;
  }
  if (!isPromise(kept)) finish(attempt, { isSuccess: true, value: kept });
  else
    kept.then(
      (done) => finish(attempt, { isSuccess: true, value: done }),
      (error) => finish(attempt, failure(attempt, error)),
    );
}

const none: Readonly<Record<string, unknown>> = Object.freeze({});

function asCurrent({ meta, carrier, context, hold }: Attempt): CurrentRun {
  const { run } = hold.delivery.entry;
  return { run, root: meta.root ?? run, carrier, context };
}

function failure(attempt: Attempt, error: unknown): Outcome {
  return { isSuccess: false, error, isOfResult: attempt.isResultBad };
}

/** The result is written as JSON while its providers can still roll back. One that is waited for can be abandoned. */
function keepResult(attempt: Attempt, given: unknown, maxBytes: number): unknown {
  if (!isPromise(given)) return write(attempt, given, maxBytes);
  return new Promise((resolve, reject) => {
    attempt.abandon = reject;
    const take = (value: unknown) => {
      try {
        resolve(write(attempt, value, maxBytes));
      } catch (error) {
        reject(error);
      }
    };
    given.then(take, reject);
  });
}

function write(attempt: Attempt, value: unknown, maxBytes: number): unknown {
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
    const encoded = encodeResult(attempt.record, value, maxBytes);
    return isPromise(encoded) ? encoded.then(note, refuse) : note(encoded);
  } catch (error) {
    return refuse(error);
  }
}
