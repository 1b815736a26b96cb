import { bytesOf, CALL_BYTES, type EnqueueRecord } from "../../streams/enqueue.ts";
import type { EventDraft } from "../../streams/events.ts";
import { derivedId } from "../../streams/ids.ts";
import type { Lane } from "../../streams/lane.ts";
import type { TopicEntry } from "../../streams/topics.ts";
import { decodeEventData, encodeInput } from "../define/payload.ts";
import type { Subscription } from "../define/subscription.ts";
import type { DomainEvent } from "../define/topic.ts";
import { toRecord } from "../enqueue/record.ts";

/** What some events become: a run each, or a note of why not. */
export interface EventRuns {
  readonly records: readonly EnqueueRecord[];
  readonly notes: readonly EventDraft<"event.refused">[];
  /** The last event among them. */
  readonly lastId: string;
}

/** For whom events become runs. */
export interface RunsFor {
  readonly lane: Lane;
  readonly subscription: Subscription;
  readonly generation: number;
  readonly maxPayloadBytes: number;
}

/** The envelope of an event, as we read it. */
type Envelope = DomainEvent<unknown> & { readonly traceparent?: string; readonly tracestate?: string };

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

async function toRun(
  text: string,
  { lane, subscription, generation, maxPayloadBytes }: RunsFor,
): Promise<EnqueueRecord> {
  const { topic, group, task, said } = subscription;
  const envelope = JSON.parse(text) as Envelope;
  if (typeof envelope?.id !== "string") throw new TypeError("it has no id");
  const { value: data } = await decodeEventData(topic, envelope.data);
  const { id, type, time, subject, traceparent, tracestate } = envelope;
  const event = { id, type, time, data, ...(subject === undefined ? {} : { subject }) };
  const input = topic.mapped === undefined ? data : topic.mapped(event);
  const { json: body } = await encodeInput(task, task.input === undefined ? undefined : input, maxPayloadBytes);
  const run = derivedId("subscription", lane.namespace, topic.name, group, String(generation), id);
  const carrier = traceparent === undefined ? undefined : { traceparent, tracestate };
  return toRecord(lane, { task, run, body, said, key: `event:${run}`, carrier, isOfMany: false });
}

function refusal(
  { id, event }: TopicEntry,
  { topic, group, task }: Subscription,
  error: unknown,
): EventDraft<"event.refused"> {
  const said = error instanceof Error ? error.message : String(error);
  const reason = said.toWellFormed().replaceAll("\0", "").slice(0, 1_000);
  return { type: "event.refused", topic: topic.name, group, task: task.name, entry: id, event: idOf(event), reason };
}

function idOf(text: string): string {
  try {
    return String((JSON.parse(text) as { readonly id?: unknown } | null)?.id ?? "").slice(0, 500);
  } catch {
    return "";
  }
}
