import { bytesOf, CALL_BYTES, type EnqueueRecord } from "../../streams/enqueue.ts";
import type { EventDraft } from "../../streams/events.ts";
import type { Lane } from "../../streams/lane.ts";
import type { TopicEntry } from "../../streams/topics.ts";
import { toRecord } from "../enqueue/record.ts";
import { type ReadingFor, readEvent, refusal } from "./read-event.ts";

/** What some events become: a run each, or a note of why not. */
export interface EventRuns {
  readonly records: readonly EnqueueRecord[];
  readonly notes: readonly EventDraft<"event.refused">[];
  /** The last event among them. */
  readonly lastId: string;
}

/** For whom events become runs, and in which lane. */
export interface RunsFor extends Omit<ReadingFor, "namespace"> {
  readonly lane: Lane;
}

/**
 * Turns events into runs, as many as go into one call, at least one. A run's id and key are made of the event's id, the group and the
 * generation: an event that is published twice is one run. One that does not fit is refused, and does not hold up the others.
 */
export async function toRuns(entries: readonly TopicEntry[], to: RunsFor): Promise<EventRuns> {
  const records: EnqueueRecord[] = [];
  const notes: EventDraft<"event.refused">[] = [];
  let lastId = "";
  let bytes = 0;
  for (const { id, event: text } of entries) {
    try {
      const record = await toRun(text, to);
      bytes += bytesOf(record);
      if (records.length > 0 && bytes > CALL_BYTES) break;
      records.push(record);
    } catch (error) {
      notes.push(refusal({ id, event: text }, to.subscription, error));
    }
    lastId = id;
  }
  return { records, notes, lastId };
}

async function toRun(text: string, { lane, ...from }: RunsFor): Promise<EnqueueRecord> {
  const { task, said } = from.subscription;
  const { run, key, body, carrier } = await readEvent(text, { namespace: lane.namespace, ...from });
  return toRecord(lane, { task, run, body, said, key, carrier, isOfMany: false });
}
