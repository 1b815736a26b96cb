import { refusal } from "../../streams/connect.ts";
import { CALL_RECORDS, cutIntoCalls, type EnqueueRecord, EnqueueRefused } from "../../streams/enqueue.ts";
import { CallFailed } from "../../streams/lane.ts";
import type { DispatchOptions } from "../define/dispatch.ts";
import { encodeInput } from "../define/payload.ts";
import { checkedKey, type ResolvedDispatch, resolveDispatch } from "../define/resolve-dispatch.ts";
import type { TaskRecord } from "../define/task.ts";
import { isPromise } from "../define/travelling.ts";
import { enqueueFailed, enqueueUnconfirmed } from "../errors.ts";
import type { Carrier, Middleware, Notice } from "../middleware.ts";
import { aroundSend, sendHooks } from "./around-send.ts";
import { Unanswered } from "./ask.ts";
import { Unconfirmed } from "./durability.ts";
import type { DispatchLane, Lanes } from "./lanes.ts";
import { ledgerFull } from "./ledger-full.ts";
import { plainSource, toRecord } from "./record.ts";
import { type Sent, toSent } from "./sent.ts";

/** What sending works with. */
export interface SendParts {
  readonly lanes: Lanes;
  readonly maxPayloadBytes: () => number;
  readonly enqueueTimeoutMs: () => number;
  readonly middleware: () => readonly Middleware[];
  readonly announce: (notice: Notice) => void;
}

/** What is asked: one run of a task per input. */
export interface SendRequest {
  readonly task: TaskRecord;
  readonly inputs: readonly unknown[];
  readonly options: DispatchOptions;
  readonly keyOf: ((input: unknown) => string) | undefined;
}

/** Runs that are ready to be sent but for their ids and records. */
export interface Ready {
  /** JSON of the encoded inputs; empty for none. */
  readonly bodies: readonly string[];
  /** By index: the key of each. Default: what was said for all. */
  readonly keys?: readonly string[] | undefined;
}

/** Dispatches one run per input, in order. Everything is checked before anything is sent. Rejects with InvalidOption, InvalidInput, NotJson, TooLarge, EnqueueFailed. */
export function send(parts: SendParts, request: SendRequest): Promise<Sent[]> {
  const { task } = request;
  try {
    const said = resolveDispatch(request.options);
    const all = encodeFrom(parts, { ...request, said }, []);
    const lane = parts.lanes.get(said.queue ?? task.queue);
    // As a rule there is nothing to wait for before it is sent, and no promise to make.
    if (isPromise(all) || lane === undefined) return sendOnceReady({ parts, task, said, all });
    return sendTo(lane, { parts, task, said, all });
  } catch (error) {
    return Promise.reject(error);
  }
}

interface Encoding extends SendRequest {
  readonly said: ResolvedDispatch;
}

/** Encodes the inputs that come after those which are encoded. Goes on at once unless a schema takes its time. */
function encodeFrom(parts: SendParts, request: Encoding, bodies: string[]): Ready | Promise<Ready> {
  const { task, inputs, keyOf } = request;
  for (let index = bodies.length; index < inputs.length; index += 1) {
    const encoded = encodeInput(task, inputs[index], parts.maxPayloadBytes());
    if (isPromise(encoded)) {
      return encoded.then(({ json }) => {
        bodies.push(json);
        return encodeFrom(parts, request, bodies);
      });
    }
    bodies.push(encoded.json);
  }
  return { bodies, keys: keyOf === undefined ? undefined : inputs.map((input) => checkedKey(keyOf(input))) };
}

/** What is to be sent once it is ready. */
export interface Unready extends Omit<Job, "all"> {
  readonly all: Ready | Promise<Ready>;
}

/** Sends what has to be waited for first: an asynchronous schema, or the lane. Rejects as `send` does. */
export async function sendOnceReady({ all, ...job }: Unready): Promise<Sent[]> {
  const ready = await all;
  if (ready.bodies.length === 0) return [];
  return sendTo(await openFor(job.parts, job.task, job.said.queue), { ...job, all: ready });
}

/** Sends what is ready, with all hooks around it. Rejects as `send` does. */
export function sendTo(lane: DispatchLane, job: Job): Promise<Sent[]> {
  const { parts, task, all } = job;
  if (all.bodies.length === 0) return Promise.resolve([]);
  const nowMs = Math.trunc(lane.lane.clock.now());
  const runs = all.bodies.map(() => lane.runIds(nowMs));
  const hooks = sendHooks(parts.middleware());
  if (hooks.length === 0) return dispatchAll(job, { lane, runs, carrier: undefined, nowMs });
  const dispatch = (carrier: Carrier) => dispatchAll(job, { lane, runs, carrier, nowMs });
  return aroundSend({
    hooks,
    sending: { task: task.name, queue: lane.lane.queue, runs },
    dispatch,
    announce: parts.announce,
  });
}

/** What is ready to be sent. */
export interface Job {
  readonly parts: SendParts;
  readonly task: TaskRecord;
  readonly said: ResolvedDispatch;
  readonly all: Ready;
}

/** What errors tell of a task. */
type Target = Pick<TaskRecord, "name" | "queue">;

/** The lane that a task's runs go to. Throws EnqueueFailed when Redis is not there. */
export async function openFor(parts: SendParts, task: Target, queue = task.queue): Promise<DispatchLane> {
  try {
    const deadline = performance.now() + parts.enqueueTimeoutMs();
    return parts.lanes.get(queue) ?? (await parts.lanes.open(queue, deadline));
  } catch (error) {
    throw failure(parts, task, { error, sent: 0 });
  }
}

interface Way {
  readonly lane: DispatchLane;
  readonly runs: readonly string[];
  readonly carrier: Carrier | undefined;
  /** When they were dispatched, in ms on Redis' clock. */
  readonly nowMs: number;
}

function dispatchAll(job: Job, way: Way): Promise<Sent[]> {
  return way.runs.length === 1 ? dispatchOne(job, way) : dispatchMany(job, way);
}

async function dispatchOne(job: Job, way: Way): Promise<Sent[]> {
  const { parts, task } = job;
  const { coalescer, confirm, lane } = way.lane;
  let sentCount = 0;
  try {
    const [record] = recordsOf(job, way, { from: 0, count: 1 }) as [EnqueueRecord];
    const deadline = performance.now() + parts.enqueueTimeoutMs();
    const sent = toSent(await coalescer.add(record, deadline), record.run, lane.queue);
    sentCount = 1;
    if (confirm !== undefined) await confirm(deadline);
    return [sent];
  } catch (error) {
    throw failure(parts, task, { error, sent: sentCount });
  }
}

async function dispatchMany(job: Job, way: Way): Promise<Sent[]> {
  const { parts, task } = job;
  const { lane, runs } = way;
  const { queue } = lane.lane;
  const sent: Sent[] = [];
  /** The call that is on its way: the records of the next are made meanwhile, and it goes once this one was taken. */
  let flying: Promise<void> | undefined;
  const sendCall = async (records: readonly EnqueueRecord[]) => {
    const deadline = performance.now() + parts.enqueueTimeoutMs();
    const call = await lane.coalescer.addAll(records, deadline);
    let index = 0;
    for (const { run } of records) sent.push(toSent({ call, index: index++ }, run, queue));
    await lane.confirm?.(deadline);
  };
  try {
    for (let from = 0; from < runs.length; from += CALL_RECORDS) {
      const count = Math.min(CALL_RECORDS, runs.length - from);
      for (const call of cutIntoCalls(recordsOf(job, way, { from, count }))) {
        await flying;
        flying = sendCall(call);
        flying.catch(() => {}); // it is awaited, if only later
      }
    }
    await flying;
    return sent;
  } catch (error) {
    throw failure(parts, task, { error, sent: sent.length });
  }
}

function recordsOf(
  { task, said, all }: Job,
  { lane, runs, carrier, nowMs }: Way,
  { from, count }: { readonly from: number; readonly count: number },
): EnqueueRecord[] {
  const common = { task, said, carrier, isOfMany: runs.length > 1, nowMs };
  const source = all.keys === undefined ? plainSource(common) : undefined;
  return Array.from({ length: count }, (_, index) => {
    const run = runs[from + index] as string;
    const body = all.bodies[from + index] as string;
    if (source !== undefined) return lane.plainRecords(run, body, source);
    const key = all.keys === undefined ? said.key : all.keys[from + index];
    return toRecord(lane.lane, { ...common, run, body, key }, lane.plainRecords);
  });
}

const REASONS: Readonly<Record<string, (said: string, timeoutMs: number) => string>> = {
  away: (said, timeoutMs) => `Redis did not take it within ${timeoutMs} ms (${said})`,
  full: () => "Redis has no memory left for it: raise its maxmemory, or let workers make room",
  denied: (said) => `Redis does not let us in (${said})`,
};

/** How a dispatch failed, and how many of its runs Redis had taken by then. */
export interface Failed {
  readonly error: unknown;
  readonly sent: number;
}

/** The error that a caller sees. What is no matter of Redis, such as a missing variable, stays as it is. */
export function failure({ lanes, enqueueTimeoutMs }: SendParts, task: Target, { error, sent }: Failed): unknown {
  if (error instanceof Unconfirmed)
    return enqueueUnconfirmed(task.name, { sent, ...whyUnconfirmed(error, enqueueTimeoutMs()) });
  if (error instanceof EnqueueRefused && error.status === "full") return ledgerFull(task.name, { sent, cause: error });
  const isOfRedis = error instanceof CallFailed || error instanceof EnqueueRefused || error instanceof Unanswered;
  if (!isOfRedis) return error;
  const last = error instanceof EnqueueRefused ? error : error.cause;
  const cause = refusal(last) === "away" ? (lanes.trouble() ?? last) : last;
  const said = cause instanceof Error ? cause.message : String(cause);
  const reason = (REASONS[refusal(cause)] ?? ((text) => `Redis refused it (${text})`))(said, enqueueTimeoutMs());
  const ambiguous = error instanceof CallFailed ? error.wasSent : error.message.endsWith("stale");
  return enqueueFailed(task.name, { ambiguous, sent, reason, cause: error });
}

function whyUnconfirmed(error: Unconfirmed, timeoutMs: number): { readonly reason: string; readonly cause: unknown } {
  const said = error.cause instanceof Error ? error.cause.message : String(error.cause);
  return { reason: `${said} after ${timeoutMs} ms at most`, cause: error };
}
