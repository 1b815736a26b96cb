import { encodeResult } from "../define/payload.ts";
import type { TaskRecord } from "../define/task.ts";
import { isPromise } from "../define/travelling.ts";
import type { WorkerScope } from "../di/worker-scope.ts";
import { currentRun } from "../enqueue/current-run.ts";
import type { RunContext } from "../run.ts";
import type { Attempt } from "./attempt.ts";
import { doneOnce, type InboxDeps, withInbox } from "./inbox.ts";
import { invoke } from "./invoke.ts";

/** What a handler runs with. */
export interface HandlerParts {
  readonly scope: WorkerScope;
  readonly context: RunContext;
  readonly maxPayloadBytes: number;
  readonly inboxDeps: InboxDeps;
}

/** Runs an attempt's handler with its dependencies. A promise only when there is something to wait for; throws or rejects with what went wrong. */
export function runHandler(attempt: Attempt, parts: HandlerParts): unknown {
  const { scope, context, maxPayloadBytes } = parts;
  const { input, meta, carrier, hold, effects } = attempt;
  const { run } = hold.delivery.entry;
  const keep = (given: unknown) => keepResult(attempt, given, maxPayloadBytes);
  const record = recordOf(attempt, parts);
  const call = { record, input, scope, context, effects, keep };
  const ran = currentRun.run({ run, root: meta.root ?? run, carrier }, invoke, call);
  return record === attempt.record ? ran : doneOnce(ran, keep);
}

/** The task as it is, or with its inbox around the handler. */
function recordOf({ record, policies, hold }: Attempt, { inboxDeps, maxPayloadBytes }: HandlerParts): TaskRecord {
  const { inbox } = policies;
  if (inbox === undefined) return record;
  const { delivery, entry } = hold.delivery;
  const isFirst = delivery === 1 && entry.attempt === 1;
  return withInbox({ record, deps: inboxDeps(record, inbox), isFirst, maxPayloadBytes });
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
