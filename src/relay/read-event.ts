import type { EventDraft } from "../../streams/events.ts";
import { derivedId } from "../../streams/ids.ts";
import type { TopicEntry } from "../../streams/topics.ts";
import { decodeEventData, encodeInput } from "../define/payload.ts";
import type { Subscription } from "../define/subscription.ts";
import type { DomainEvent } from "../define/topic.ts";
import type { Carrier } from "../middleware.ts";

/** For whom an event is read. */
export interface ReadingFor {
  readonly namespace: string;
  readonly subscription: Subscription;
  readonly generation: number;
  readonly maxPayloadBytes: number;
}

/** The run that an event becomes. */
export interface EventRun {
  readonly run: string;
  readonly key: string;
  /** JSON of the encoded input; empty for none. */
  readonly body: string;
  /** The trace context of whoever published it. */
  readonly carrier: Carrier | undefined;
}

/** The envelope of an event, as we read it. */
type Envelope = DomainEvent<unknown> & { readonly traceparent?: string; readonly tracestate?: string };

/**
 * Reads CloudEvents JSON for a subscription. The run's id and key are made of the event's id, the group and the generation, so that an
 * event that is published twice is one run. Throws for what does not fit the topic's schema or the task's input.
 */
export async function readEvent(
  text: string,
  { namespace, subscription, generation, maxPayloadBytes }: ReadingFor,
): Promise<EventRun> {
  const { topic, group, task } = subscription;
  const envelope = JSON.parse(text) as Envelope;
  if (typeof envelope?.id !== "string") throw new TypeError("it has no id");
  const { value: data } = await decodeEventData(topic, envelope.data);
  const { id, type, time, subject, traceparent, tracestate } = envelope;
  const event = { id, type, time, data, ...(subject === undefined ? {} : { subject }) };
  const input = topic.mapped === undefined ? data : topic.mapped(event);
  const { json: body } = await encodeInput(task, task.input === undefined ? undefined : input, maxPayloadBytes);
  const run = derivedId("subscription", namespace, topic.name, group, String(generation), id);
  const carrier = traceparent === undefined ? undefined : { traceparent, tracestate };
  return { run, key: `event:${run}`, body, carrier };
}

/** The note of an event that has become no run, and why. */
export function refusal(
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
