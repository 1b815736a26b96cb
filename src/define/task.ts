// biome-ignore-all lint/suspicious/noExplicitAny: what is inferred has to be left open, and `unknown` would close it
// biome-ignore-all lint/complexity/noBannedTypes: `{}` is what a task without dependencies needs, and how editors show it
import type { LedgerEvent } from "../../streams/events.ts";
import type { Deps, Override, Values } from "../di/provider.ts";
import { invalidOption } from "../errors.ts";
import type { RunContext, RunHandle, Slot } from "../run.ts";
import type { Dispatcher, DispatchOptions, InputArgs, TaskRef } from "./dispatch.ts";
import type { CheckedQuery } from "./ledger-query.ts";
import type { Policies } from "./policy.ts";
import type { AnySchema, OutputOf, Schema } from "./schema.ts";

/** `Promise` and not `PromiseLike`: a wrong result is told in two lines, and a query builder that nobody awaited is refused. */
export type Awaitable<T> = T | Promise<T>;

/** What every task, cron and contract has. */
export interface Named {
  /** Unique per broker; what entries, events and rows carry. A new name orphans the runs that wait under the old one. By convention snake_case. */
  readonly name: string;
  /** Default "default". */
  readonly queue?: string | undefined;
  /** Raise it when older workers could not read the new input: they leave such runs to newer ones. Default 1. */
  readonly version?: number | undefined;
}

/** A task with its handler, as `broker.task` takes it. */
export interface TaskDefinition<I extends Schema<any, any>, D extends Deps, Result> extends Named, Policies {
  /** Checked before Redis and again before the handler. What travels is `z.encode` of the parsed value (unknown keys dropped, defaults filled in), or the value as given where the schema only goes one way. Default: no input. */
  readonly input?: I | undefined;
  /** Opened before the handler, in order; closed after it, in reverse. */
  readonly deps?: D | undefined;
  /** The handler. What it returns is the result; what it throws fails the attempt. */
  run(this: void, input: OutputOf<I>, deps: Values<D>, run: RunContext): Awaitable<Result>;
}

/** What a contract's `implement` takes. */
export interface HandlerDefinition<Parsed, D extends Deps, Result> extends Policies {
  /** Opened before the handler, in order; closed after it, in reverse. */
  readonly deps?: D | undefined;
  /** The handler. What it returns is the result; what it throws fails the attempt. */
  run(this: void, input: Parsed, deps: Values<D>, run: RunContext): Awaitable<Result>;
}

/** A task and its handler. An object, not a function. */
export interface Task<in Input, out Result, in Deps = {}> extends TaskRef<Input, Result> {
  /** Runs the handler here and now: input and result cross JSON, dependencies open and close; no Redis, no retry, no event. Overrides go by name, or by provider (nested ones too). */
  call(...args: [...InputArgs<Input>, overrides?: Partial<Deps> | readonly Override[]]): Promise<Result>;
}

/** What tasks, contracts and crons are declared on. */
export interface TaskHost {
  register(definition: object): any;
}

/** When and how a task is fired by the scheduler; durations in ms. */
export interface CronRecord {
  readonly expression: string;
  readonly timezone: string;
  readonly lockTtlMs: number;
  readonly overlap: "skip" | "allow" | "queue_one" | "cancel_other";
  readonly misfire: "skip" | "fire_once" | "fire_all";
  readonly catchUpMs: number;
  readonly jitterMs: number;
  readonly startsAtMs: number | undefined;
  readonly endsAtMs: number | undefined;
  readonly maxRuns: number | undefined;
}

/** A task as the engine sees it. */
export interface TaskRecord {
  readonly name: string;
  readonly queue: string;
  readonly version: number;
  readonly input: AnySchema | undefined;
  readonly output: AnySchema | undefined;
  readonly deps: Deps;
  /** As declared; `resolvePolicies` fills in the rest. */
  readonly policies: Policies;
  /** Absent for a contract that was bound and whose handler lives elsewhere. */
  readonly run: ((input: any, deps: any, run: RunContext) => unknown) | undefined;
  readonly cron: CronRecord | undefined;
  /** `file:line`, for DuplicateTask. */
  readonly declaredAt: string;
}

/** Overrides as `call` takes them: by name, or by provider. */
export type Overrides = Readonly<Record<string, unknown>> | readonly Override[] | undefined;

/** What a task object asks of the engine, so that declarations import none of it. */
export interface DispatchPort {
  /** Dispatches one run. */
  sendOne(task: TaskRecord, input: unknown, options: DispatchOptions): Promise<RunHandle<any>>;
  /** Dispatches one run per input, in order. `keyOf` gives each its idempotency key. */
  send(
    task: TaskRecord,
    inputs: readonly unknown[],
    options: DispatchOptions,
    keyOf?: (input: any) => string,
  ): Promise<RunHandle<any>[]>;
  /** A hold on a run by its id; `task`, when known, says how to read its result. */
  handle(task: TaskRecord | undefined, id: string): RunHandle<any>;
  /** The events of the ledger, oldest first. */
  events(query: CheckedQuery): AsyncIterable<LedgerEvent>;
  /** Fires a cron now, as a slot of its own. */
  trigger(task: TaskRecord): Promise<RunHandle<any>>;
  /** Runs a handler in this process. */
  call(task: TaskRecord, input: unknown, slot: Partial<Slot> | undefined, overrides: Overrides): Promise<unknown>;
}

const plain: DispatchOptions = Object.freeze({});

/** What a dispatcher dispatches, for those who do so in its place: subscriptions. Known by a global symbol, across copies of the package. */
export interface Dispatches {
  readonly record: TaskRecord;
  readonly options: DispatchOptions;
}

const DISPATCHES = Symbol.for("tasktrail.dispatches");

/** What a dispatcher dispatches; undefined for what is none of ours. */
export function dispatchesOf(dispatcher: unknown): Dispatches | undefined {
  return (dispatcher as { readonly [DISPATCHES]?: Dispatches } | null | undefined)?.[DISPATCHES];
}

function dispatcher(record: TaskRecord, port: DispatchPort, options: DispatchOptions): Dispatcher<any, any> {
  const dispatches = { [DISPATCHES]: { record, options } satisfies Dispatches };
  return {
    ...dispatches,
    kiq: (input?: unknown) => port.sendOne(record, input, options),
    async kiqMany(inputs: readonly unknown[], each: { key?(input: any): string } = {}) {
      if (!Array.isArray(inputs)) throw invalidOption("inputs", `kiqMany of task "${record.name}" takes an array`);
      if (options.key !== undefined) {
        throw invalidOption(
          "key",
          "one key would fold all of kiqMany into one run: write kiqMany(inputs, { key: (input) => … })",
        );
      }
      return port.send(record, inputs, options, each.key);
    },
  };
}

// By a registered symbol: a task may come from another copy of the package.
const RECORD = Symbol.for("tasktrail.record");

function withRecord<T extends object>(ref: T, record: TaskRecord): T {
  return Object.defineProperty(ref, RECORD, { value: record });
}

/** What the engine knows of a task that a user holds; undefined when it is none. */
export function recordOf(ref: unknown): TaskRecord | undefined {
  return (ref as Record<symbol, TaskRecord | undefined> | null | undefined)?.[RECORD];
}

/** A task that can be dispatched: what `bind` gives for a contract. */
export function makeTaskRef(record: TaskRecord, port: DispatchPort): TaskRef<any, any> {
  const ref: TaskRef<any, any> = {
    name: record.name,
    ...dispatcher(record, port, plain),
    with: (options) => dispatcher(record, port, options),
    handle: (id) => port.handle(record, id),
  };
  return withRecord(ref, record);
}

/** The task object that users hold. */
export function makeTask(record: TaskRecord, port: DispatchPort): Task<any, any, any> {
  const task: Task<any, any, any> = {
    ...makeTaskRef(record, port),
    async call(...args: unknown[]) {
      const [input, overrides] = record.input === undefined ? [undefined, args[0]] : [args[0], args[1]];
      return port.call(record, input, undefined, overrides as Overrides);
    },
  };
  return withRecord(task, record);
}
