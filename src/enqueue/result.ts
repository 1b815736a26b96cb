import type { LedgerEvent, RecordedError } from "../../streams/events.ts";
import { decodeResult } from "../define/payload.ts";
import type { Policies } from "../define/policy.ts";
import { resolvePolicies } from "../define/resolve-policies.ts";
import type { TaskRecord } from "../define/task.ts";
import { resultNotKept, runCancelled, runFailed, runSkipped } from "../errors.ts";

/** What there is to tell of a run that has ended. */
export interface Ended {
  readonly task: TaskRecord | undefined;
  readonly event: LedgerEvent;
  /** JSON of the result; null when there is none in Redis. */
  readonly json: string | null;
  /** On Redis' clock, in ms. */
  readonly nowMs: number;
  /** The broker's policies for tasks that do not state their own. */
  readonly defaults: Policies;
}

/** The result that a run ended with. Throws RunFailed, RunCancelled, RunSkipped or ResultNotKept. */
export async function resultOf({ task, event, json, nowMs, defaults }: Ended): Promise<unknown> {
  switch (event.type) {
    case "run.succeeded": {
      if (json !== null) return (await decodeResult(task, json)).value;
      // Nothing is kept of a handler that returned nothing; of one that returned something, until its time is up.
      const { resultTtlMs } = resolvePolicies(task ?? { policies: {}, cron: undefined }, defaults);
      if (nowMs - event.at > resultTtlMs) throw resultNotKept(event.run);
      return undefined;
    }
    case "run.died":
      throw runFailed(event.run, event.reason, event.error === undefined ? undefined : revive(event.error));
    case "run.cancelled":
      throw runCancelled(event.run, event.reason);
    case "run.skipped":
      throw runSkipped(event.run, event.holder);
    default:
      throw runFailed((event as { run?: string }).run ?? "", event.type.slice("run.".length));
  }
}

/** The error of a handler, made again from what was recorded of it. */
export function revive({ type, message, stack, code }: RecordedError): Error {
  const error = new Error(message);
  Object.defineProperty(error, "name", { value: type, configurable: true, writable: true });
  // The place where it was thrown, in whatever process that was; the place where it is revived tells nothing.
  error.stack = stack ?? `${type}: ${message}`;
  return code === undefined ? error : Object.assign(error, { code });
}
