import type { Enqueued, EnqueueRecord } from "../../streams/enqueue.ts";
import type { DispatchOptions } from "../define/dispatch.ts";
import { encodeInput } from "../define/payload.ts";
import { resolveDispatch } from "../define/resolve-dispatch.ts";
import type { TaskRecord } from "../define/task.ts";
import { type Encoded, isPromise } from "../define/travelling.ts";
import { type HungSend, hangAround, sendHooks } from "./around-send.ts";
import type { Waiting } from "./coalesce.ts";
import type { Connection } from "./connection.ts";
import type { DispatchLane } from "./lanes.ts";
import { plainSource, toRecord } from "./record.ts";
import { failure, type Job, type SendParts, sendOnceReady, sendTo } from "./send.ts";
import { type Sent, toSent } from "./sent.ts";

/** What sending one works with. */
export interface SendOneParts extends SendParts {
  /** Held from beginning to end: whoever closes the broker waits for all of it. */
  readonly connection: Pick<Connection, "hold" | "release">;
}

/** One run of a task. */
export interface SendOneRequest {
  readonly task: TaskRecord;
  readonly input: unknown;
  readonly options: DispatchOptions;
}

/**
 * Dispatches one run, as `send` does one of many, and gives what is made of it. As a rule nothing is to be waited for but Redis: then the one promise
 * that is made is the one that is given back, which was a third of what a dispatch among many cost.
 */
export function sendOne<T>(parts: SendOneParts, request: SendOneRequest, made: (sent: Sent) => T): Promise<T> {
  parts.connection.hold();
  try {
    const { task, input, options } = request;
    const said = resolveDispatch(options);
    const encoded = encodeInput(task, input, parts.maxPayloadBytes());
    const lane = parts.lanes.get(said.queue ?? task.queue);
    if (isPromise(encoded) || lane === undefined) return whenReady(parts, { task, said, encoded }, made);
    const job: Job = { parts, task, said, all: { bodies: [encoded.json] } };
    return lane.confirm === undefined ? straight(lane, job, { parts, made }) : released(parts, sendTo(lane, job), made);
  } catch (error) {
    parts.connection.release();
    return Promise.reject(error);
  }
}

interface Encoding extends Omit<Job, "parts" | "all"> {
  readonly encoded: Encoded | Promise<Encoded>;
}

async function whenReady<T>(parts: SendOneParts, { encoded, ...of }: Encoding, made: (sent: Sent) => T): Promise<T> {
  const all = Promise.resolve(encoded).then(({ json }) => ({ bodies: [json] }));
  return released(parts, sendOnceReady({ parts, ...of, all }), made);
}

function released<T>({ connection }: SendOneParts, sending: Promise<Sent[]>, made: (sent: Sent) => T): Promise<T> {
  return sending.then(
    ([sent]) => {
      connection.release();
      return made(sent as Sent);
    },
    (error: unknown) => {
      connection.release();
      throw error;
    },
  );
}

interface Straight<T> {
  readonly parts: SendOneParts;
  readonly made: (sent: Sent) => T;
}

/** With nobody to vouch for it. */
function straight<T>(
  { lane, runIds, plainRecords, coalescer }: DispatchLane,
  job: Job,
  { parts, made }: Straight<T>,
): Promise<T> {
  const { task, said, all } = job;
  const [body] = all.bodies as [string];
  const nowMs = Math.trunc(lane.clock.now());
  const run = runIds(nowMs);
  const hung = hangHooks(parts, { task, queue: lane.queue, run });
  const common = { task, said, carrier: hung?.carrier, isOfMany: false, nowMs };
  const source = plainSource(common);
  const record =
    source === undefined
      ? toRecord(lane, { ...common, run, body, key: said.key }, plainRecords)
      : plainRecords(run, body, source);
  const onItsWay = { record, task, queue: lane.queue, hung, parts, made };
  return new Promise((resolve, reject) => {
    const waiting = new OnItsWay(onItsWay, resolve, reject);
    if (hung === undefined || (hung.isForCall && coalescer.isGathering())) coalescer.put(waiting);
    else hung.begin(() => coalescer.put(waiting));
  });
}

interface Dispatched<T> extends Straight<T> {
  readonly record: EnqueueRecord;
  readonly task: TaskRecord;
  readonly queue: string;
  readonly hung: HungSend | undefined;
}

/** Of a class, as all that waits for Redis with many others (ARCHITECTURE.md, "young"). */
class OnItsWay<T> implements Waiting {
  declare readonly record: EnqueueRecord;
  declare readonly deadline: number;
  declare private readonly task: TaskRecord;
  declare private readonly queue: string;
  declare private readonly hung: HungSend | undefined;
  declare private readonly parts: SendOneParts;
  declare private readonly made: (sent: Sent) => T;
  declare private readonly resolve: (made: T) => void;
  declare private readonly reject: (error: unknown) => void;

  constructor(of: Dispatched<T>, resolve: (made: T) => void, reject: (error: unknown) => void) {
    this.record = of.record;
    this.deadline = performance.now() + of.parts.enqueueTimeoutMs();
    this.task = of.task;
    this.queue = of.queue;
    this.hung = of.hung;
    this.parts = of.parts;
    this.made = of.made;
    this.resolve = resolve;
    this.reject = reject;
  }

  taken(call: Enqueued, index: number): void {
    this.parts.connection.release();
    this.hung?.end({});
    this.resolve(this.made(toSent({ call, index }, this.record.run, this.queue)));
  }

  failed(cause: unknown): void {
    const { parts, task, hung } = this;
    parts.connection.release();
    const error = failure(parts, task, { error: cause, sent: 0 });
    hung?.end({ error });
    this.reject(error);
  }
}

interface Hooked {
  readonly task: TaskRecord;
  readonly queue: string;
  readonly run: string;
}

/** As a rule there are no hooks, and nothing is made for them. */
function hangHooks({ middleware, announce }: SendOneParts, { task, queue, run }: Hooked): HungSend | undefined {
  const hooks = sendHooks(middleware());
  if (hooks.length === 0) return undefined;
  return hangAround({ hooks, sending: { task: task.name, queue, runs: [run] }, announce });
}
