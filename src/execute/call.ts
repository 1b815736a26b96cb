import { systemClock } from "../clock.ts";
import { DEFAULTS } from "../defaults.ts";
import { decodeInput, decodeResult, encodeInput, encodeResult } from "../define/payload.ts";
import { resolvePolicies } from "../define/resolve-policies.ts";
import type { Overrides, TaskRecord } from "../define/task.ts";
import { isPromise } from "../define/travelling.ts";
import { BROKER_LEAF } from "../di/leaves.ts";
import { overridesOf } from "../di/overrides.ts";
import { override } from "../di/provider.ts";
import { openWorkerScope, type WorkerScope } from "../di/worker-scope.ts";
import type { Engine } from "../engine.ts";
import { noHandler } from "../errors.ts";
import type { Slot } from "../run.ts";
import { getWorkerInfo, type WorkerInfo } from "../stock/worker-info.ts";
import { type InlineRun, makeInlineContext } from "./inline-context.ts";
import { invoke } from "./invoke.ts";

/** What a task is called with. */
export interface InlineCall {
  readonly record: TaskRecord;
  readonly input: unknown;
  /** Of a task that is no cron: whole, when a schedule has fired it. */
  readonly slot: Partial<Slot> | undefined;
  readonly overrides: Overrides;
  /** The run it is for. Default: one of its own. */
  readonly run?: InlineRun | undefined;
  /** Default: the task's. */
  readonly timeoutMs?: number | undefined;
}

/**
 * Runs a handler here and now, as a worker would: input and result cross JSON, dependencies open and close, the timeout
 * holds, effects run after all is committed. No Redis, no retry, no event. Throws what the handler throws.
 */
export async function callInline(engine: Engine, call: InlineCall): Promise<unknown> {
  const { record, input, slot, overrides } = call;
  if (record.run === undefined) throw noHandler(record.name);
  const timeoutMs = call.timeoutMs ?? resolvePolicies(record, engine.options.defaults).timeoutMs;
  const whole = record.cron === undefined ? undefined : wholeSlot(record, slot);
  const first = whole ?? (await crossed(engine, record, input));
  const scope = openScope(engine, record, { overrides, timeoutMs });
  const inline = makeInlineContext(record, timeoutMs, { slot: whole ?? (slot as Slot | undefined), run: call.run });
  const keep = (given: unknown) => {
    const value = isPromise(given) ? Promise.race([given, inline.abandoned]) : given;
    return resultJson(engine, record, value);
  };
  const run = async () => {
    const { context, effects } = inline;
    const json = (await invoke({ record, input: first, scope, context, effects, keep })) as string;
    return json === "" ? undefined : (await decodeResult(record, json)).value;
  };
  return closing(run().finally(inline.close), scope);
}

/** Closes the scope whatever came out. An error of the handler goes before one of the closing. */
async function closing<T>(work: Promise<T>, scope: WorkerScope): Promise<T> {
  try {
    await work;
  } catch {
    await scope.close().catch((error: unknown) => scope.report("a provider did not close well", error));
    return work;
  }
  await scope.close();
  return work;
}

async function crossed(engine: Engine, record: TaskRecord, input: unknown): Promise<unknown> {
  const { json } = await encodeInput(record, input, engine.maxPayloadBytes);
  return (await decodeInput(record, json)).value;
}

async function resultJson(engine: Engine, record: TaskRecord, given: unknown): Promise<string> {
  return (await encodeResult(record, await given, engine.maxPayloadBytes)).json;
}

function openScope(
  engine: Engine,
  record: TaskRecord,
  { overrides, timeoutMs }: { readonly overrides: Overrides; readonly timeoutMs: number },
): WorkerScope {
  const info: WorkerInfo = { worker: "call", concurrency: 1, maxTimeoutMs: timeoutMs };
  return openWorkerScope({
    leaves: { [BROKER_LEAF]: engine.broker },
    overrides: [override(getWorkerInfo, info), ...overridesOf(record, overrides)],
    report: (what, error) => engine.announce({ kind: "problem", what, error, facts: { task: record.name } }),
  });
}

/** The slot of a cron that is called in place: what is not said is as if it were triggered by hand at this instant. */
function wholeSlot(record: TaskRecord, given: Partial<Slot> = {}): Slot {
  return {
    schedule: given.schedule ?? record.name,
    at: given.at ?? new Date(systemClock.now()),
    previous: given.previous,
    timezone: given.timezone ?? record.cron?.timezone ?? DEFAULTS.timezone,
    trigger: given.trigger ?? "manual",
  };
}
