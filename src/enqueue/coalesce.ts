import { refusal } from "../../streams/connect.ts";
import { countForCall, type Enqueued, type EnqueueRecord, EnqueueRefused, enqueue } from "../../streams/enqueue.ts";
import { CALLS_IN_FLIGHT, CallFailed, type Lane } from "../../streams/lane.ts";

/** Where a record went: the call that took it, and its place in it. */
export interface Landing {
  readonly call: Enqueued;
  readonly index: number;
}

/** So many records go as two calls when none is on its way. */
const HALVED_FROM = 200;

/** A record that is to be sent, and who is told what became of it: one of the two, once. */
export interface Waiting {
  readonly record: EnqueueRecord;
  /** On `performance.now()`. */
  readonly deadline: number;
  taken(call: Enqueued, index: number): void;
  /** With what `enqueue` throws. */
  failed(error: unknown): void;
}

/** Records on their way into one lane. */
export interface Coalescer {
  put(waiting: Waiting): void;
  /** True when what is put now goes with what was put before. */
  isGathering(): boolean;
  /** Resolves when Redis has the record; rejects when it has not by the deadline (on `performance.now()`), with what `enqueue` throws. */
  add(record: EnqueueRecord, deadline: number): Promise<Landing>;
  /** The same for records that go in one call of their own: all or none. At most what `cutIntoCalls` puts into one. */
  addAll(records: readonly EnqueueRecord[], deadline: number): Promise<Enqueued>;
}

/** What a coalescer works with. `answerWithinMs`: a connection that stays silent for so long is taken for dead. */
export interface CoalescerParts {
  readonly lane: Lane;
  readonly answerWithinMs: number;
  /** Called before each call is sent. */
  readonly onCall: () => void;
  /** Hears of what Redis has taken. */
  readonly onTaken: (records: readonly EnqueueRecord[], call: Enqueued) => void;
}

/**
 * Gathers the records of one tick into one call. While calls are on their way, what comes in is gathered until the
 * event loop has read what Redis answered, so that the busier it is, the larger the calls are.
 */
export function createCoalescer({ lane, answerWithinMs, onCall, onTaken }: CoalescerParts): Coalescer {
  let pending: Waiting[] = [];
  let callCount = 0;
  let isScheduled = false;

  const flush = () => {
    isScheduled = false;
    while (pending.length > 0 && callCount < CALLS_IN_FLIGHT) {
      const count = countOf(pending, callCount === 0);
      const batch = count === pending.length ? pending : pending.slice(0, count);
      pending = count === pending.length ? [] : pending.slice(count);
      callCount += 1;
      void send(batch).then(landed);
    }
  };
  const schedule = () => {
    if (isScheduled) return;
    isScheduled = true;
    if (callCount === 0) queueMicrotask(flush);
    else setImmediate(flush);
  };
  const landed = (left: readonly Waiting[]) => {
    callCount -= 1;
    if (left.length > 0) pending = [...left, ...pending];
    if (pending.length > 0) schedule();
  };
  /** Sends one call and tells everyone of its fate; gives back those who may still wait. */
  const send = async (batch: Waiting[]): Promise<readonly Waiting[]> => {
    const records = batch.map(({ record }) => record);
    const deadline = (batch[0] as Waiting).deadline; // the first to come is the first whose time is up
    try {
      onCall();
      const call = await enqueue(lane, records, { deadline, answerWithinMs });
      onTaken(records, call);
      for (let index = 0; index < batch.length; index += 1) (batch[index] as Waiting).taken(call, index);
      batch.length = 0; // V8 may have made it in its old heap, where it would keep them alive
      return [];
    } catch (error) {
      const now = performance.now();
      const mayWait = isUntouched(error);
      const left = mayWait ? batch.filter((one) => one.deadline > now) : [];
      for (const one of batch) if (!mayWait || one.deadline <= now) one.failed(error);
      return left;
    }
  };

  const put = (waiting: Waiting) => {
    pending.push(waiting);
    schedule();
  };

  return {
    put,
    isGathering: () => isScheduled,
    add: (record, deadline) =>
      new Promise((resolve, reject) => {
        put({ record, deadline, taken: (call, index) => resolve({ call, index }), failed: reject });
      }),
    async addAll(records, deadline) {
      for (;;) {
        try {
          onCall();
          const call = await enqueue(lane, records, { deadline, answerWithinMs });
          onTaken(records, call);
          return call;
        } catch (error) {
          if (!isUntouched(error) || performance.now() >= deadline) throw error;
        }
      }
    },
  };
}

/** True when nothing of a call has happened, and another try may do better: its time was up before it was sent, or our idea of Redis' clock was wrong. */
function isUntouched(error: unknown): boolean {
  if (error instanceof EnqueueRefused) return error.message.endsWith("late");
  return error instanceof CallFailed && !error.wasSent && refusal(error.cause) === "away";
}

/** How many of those that wait go into one call. `isFirst`: none is on its way, so that Redis would be idle while more is made, and we while it is at it: many go in two. */
function countOf(pending: readonly Waiting[], isFirst: boolean): number {
  const most = countForCall(pending.map(({ record }) => record));
  return isFirst && pending.length >= HALVED_FROM ? Math.min(most, Math.ceil(pending.length / 2)) : most;
}
