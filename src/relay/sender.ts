import type { OutboxItem } from "../../sql/queries/outbox.ts";
import { bytesOf, CALL_BYTES, CALL_RECORDS, type EnqueueRecord } from "../../streams/enqueue.ts";
import { eventOf } from "../../streams/enqueue-record.ts";
import { isRunId } from "../../streams/ids.ts";
import type { Lane } from "../../streams/lane.ts";
import { OUTBOX_MARK, readMark, takeStep } from "../../streams/relay.ts";
import { decodeDispatch } from "../enqueue/outbox-record.ts";
import { toRecord } from "../enqueue/record.ts";
import type { Notice } from "../middleware.ts";

/** A row that can be sent, and how many bytes it comes to. */
export interface Sendable<T> {
  readonly id: string;
  readonly value: T;
  readonly bytes: number;
}

/** A step from one batch to another, and who may stop it. */
export interface SendStep {
  readonly from: string;
  readonly to: string;
  readonly signal: AbortSignal;
}

/** How the rows of a lane get into Redis. */
export interface Sender<T = unknown> {
  /** The number of the last batch that Redis has. */
  mark(): Promise<string>;
  /** Reads a row. Throws for one that nobody could send: it is parked. */
  decode(item: OutboxItem): Sendable<T>;
  /** Deletes the rows of batches up to one that nobody needs any longer. Absent where the archive does so. */
  prune?(upTo: number): Promise<void>;
  /** Sends the rows of a batch; all of them or none, and once however often it is asked. Gives the number of the last batch that Redis has then. */
  send(batch: readonly Sendable<T>[], step: SendStep): Promise<string>;
}

/** Sends dispatches into their queue's lane. `tell` hears of the events that Redis has recorded. */
export function runSender(lane: Lane, tell: (notice: Notice) => void): Sender<EnqueueRecord> {
  return {
    mark: () => readMark(lane.redis, lane.keys, OUTBOX_MARK),
    decode({ id, item, record: text, ageMs }) {
      if (!isRunId(item)) throw new TypeError("its item is not the id of a run");
      // Its age is measured on Postgres' clock alone, and taken from Redis' time: no third clock comes into it.
      const value = toRecord(lane, decodeDispatch(item, text, lane.clock.now() - ageMs));
      return { id, value, bytes: bytesOf(value) };
    },
    async send(batch, { from, to, signal }) {
      const records = batch.map(({ value }) => value);
      const note = { type: "outbox.relayed", batch: Number(to), runCount: records.length } as const;
      const stepped = await takeStep(lane, records, { field: OUTBOX_MARK, from, to, notes: [note] }, { signal });
      if (stepped.outcome === "passed") return stepped.mark;
      const { existing } = stepped.call;
      const events = records.filter((_, index) => !existing.has(index)).map(eventOf);
      if (events.length > 0) tell({ kind: "events.recorded", queue: lane.queue, events });
      return to;
    },
  };
}

/** As many of the rows, from the first on, as go into one call. */
export function cutBatch<T>(rows: readonly Sendable<T>[]): readonly Sendable<T>[] {
  let bytes = 0;
  for (let index = 0; index < rows.length; index += 1) {
    bytes += (rows[index] as Sendable<T>).bytes;
    if (index > 0 && (index === CALL_RECORDS || bytes > CALL_BYTES)) return rows.slice(0, index);
  }
  return rows;
}
