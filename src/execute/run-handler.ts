import { encodeResult } from "../define/payload.ts";
import { isPromise } from "../define/travelling.ts";
import type { WorkerScope } from "../di/worker-scope.ts";
import { currentRun } from "../enqueue/current-run.ts";
import type { RunContext } from "../run.ts";
import type { Attempt } from "./attempt.ts";
import { invoke } from "./invoke.ts";

/** What a handler runs with. */
export interface HandlerParts {
  readonly scope: WorkerScope;
  readonly context: RunContext;
  readonly maxPayloadBytes: number;
}

/** Runs an attempt's handler with its dependencies. A promise only when there is something to wait for; throws or rejects with what went wrong. */
export function runHandler(attempt: Attempt, { scope, context, maxPayloadBytes }: HandlerParts): unknown {
  const { record, input, meta, carrier, hold, effects } = attempt;
  const { run } = hold.delivery.entry;
  const keep = (given: unknown) => keepResult(attempt, given, maxPayloadBytes);
  const call = { record, input, scope, context, effects, keep };
  return currentRun.run({ run, root: meta.root ?? run, carrier }, invoke, call);
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
