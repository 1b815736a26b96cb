import { refusal } from "../../streams/connect.ts";
import {
  bytesOf,
  CALL_BYTES,
  CALL_RECORDS,
  type Enqueued,
  type EnqueueRecord,
  EnqueueRefused,
  enqueue,
} from "../../streams/enqueue.ts";
import { CALLS_IN_FLIGHT, CallFailed, type Lane } from "../../streams/lane.ts";

/** Where a record went: the call that took it, and its place in it. */
export interface Landing {
  readonly call: Enqueued;
  readonly index: number;
}

/** Records on their way into one lane. */
export interface Coalescer {
  /** Resolves when Redis has the record; rejects when it has not by the deadline (on `performance.now()`), with what `enqueue` throws. */
  add(record: EnqueueRecord, deadline: number): Promise<Landing>;
  /** The same for records that go in one call of their own: all or none. At most what `cutIntoCalls` puts into one. */
  addAll(records: readonly EnqueueRecord[], deadline: number): Promise<Enqueued>;
}

/** A record and who waits for it. */
interface Waiting {
  readonly record: EnqueueRecord;
  readonly deadline: number;
  readonly resolve: (landing: Landing) => void;
  readonly reject: (error: unknown) => void;
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
      const end = endOfCall(pending);
      const batch = end === pending.length ? pending : pending.slice(0, end);
      pending = end === pending.length ? [] : pending.slice(end);
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
  const send = async (batch: readonly Waiting[]): Promise<readonly Waiting[]> => {
    const records = batch.map(({ record }) => record);
    const deadline = (batch[0] as Waiting).deadline; // the first to come is the first whose time is up
    try {
      onCall();
      const call = await enqueue(lane, records, { deadline, answerWithinMs });
      onTaken(records, call);
      for (let index = 0; index < batch.length; index += 1) (batch[index] as Waiting).resolve({ call, index });
      return [];
    } catch (error) {
      const now = performance.now();
      const mayWait = isUntouched(error);
      const left = mayWait ? batch.filter((one) => one.deadline > now) : [];
      for (const one of batch) if (!mayWait || one.deadline <= now) one.reject(error);
      return left;
    }
  };

  return {
    add: (record, deadline) =>
      new Promise((resolve, reject) => {
        pending.push({ record, deadline, resolve, reject });
        schedule();
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

/** How many of those that wait go into one call. */
function endOfCall(pending: readonly Waiting[]): number {
  let bytes = 0;
  for (let index = 0; index < pending.length; index += 1) {
    bytes += bytesOf((pending[index] as Waiting).record);
    if (index > 0 && (index === CALL_RECORDS || bytes > CALL_BYTES)) return index;
  }
  return pending.length;
}
