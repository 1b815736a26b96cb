import type { Redis } from "ioredis";
import { type OutboxRow, topicsLane } from "../../sql/outbox-insert.ts";
import { derivedId } from "../../streams/ids.ts";
import { TOPIC_MOST, topicKey } from "../../streams/keys.ts";
import { currentRun } from "../current-run.ts";
import { encodeEvent } from "../define/payload.ts";
import { type SqlSession, statementRunner } from "../define/session.ts";
import type { EventPublisher, TopicRecord } from "../define/topic.ts";
import { type Provider, provider } from "../di/provider.ts";
import type { Engine } from "../engine.ts";
import { encodeTopicEvent } from "../enqueue/encode-outbox.ts";
import { writeRows } from "../enqueue/send-in-session.ts";
import { invalidOption, TasktrailError } from "../errors.ts";
import type { RunContext } from "../run.ts";

/** An event that waits for the commit: its topic, its id, and its JSON. */
export interface PublishedEvent {
  readonly topic: string;
  readonly id: string;
  readonly json: string;
}

/** What one attempt has published so far. */
export interface Outgoing {
  readonly events: PublishedEvent[];
  /** A session of the run writes the events before it commits. */
  hasSession: boolean;
}

/** What a session and a publisher of one attempt share. */
export const getOutgoing: Provider<Outgoing, "run"> = provider({
  provide: (_, use) => use<Outgoing>({ events: [], hasSession: false }),
});

/** Who publishes, and what its events go into. `onFirst` is called before the first of them. */
export interface PublisherParts {
  readonly engine: Engine;
  readonly run: RunContext;
  readonly events: PublishedEvent[];
  readonly onFirst?: (() => void) | undefined;
}

/**
 * A publisher for one attempt of a run. Data is checked at once; what becomes of the events is for others. Their ids are made of the
 * run's and their number, so that a retried run publishes the same ones again.
 */
export function createEventPublisher({ engine, run, events, onFirst }: PublisherParts): EventPublisher {
  let count = 0;
  return {
    publish(topic, data, options = {}) {
      const record = topic as unknown as TopicRecord;
      if (record?.kind !== "tasktrail.topic" || record.mapped !== undefined)
        throw invalidOption("topic", "takes what topic(name, schema) gives");
      const { json } = encodeEvent(record, data, engine.maxPayloadBytes);
      const id = options.id ?? derivedId("event", run.id, String(count));
      if (count === 0) onFirst?.();
      count += 1;
      const from = { run, source: `/${engine.namespace}/${run.task}`, type: record.name };
      const event = envelope(from, { ...options, id });
      events.push({ topic: record.name, id, json: `${event.slice(0, -1)},"data":${json || "null"}}` });
    },
  };
}

/** CloudEvents 1.0, JSON format, without its data. `tasktrailrun` is an extension; `traceparent` the one for distributed tracing. */
function envelope(
  { run, source, type }: { readonly run: RunContext; readonly source: string; readonly type: string },
  { id, subject }: { readonly id: string; readonly subject?: string | undefined },
): string {
  const traceparent = currentRun.getStore()?.carrier.traceparent;
  return JSON.stringify({
    specversion: "1.0",
    id,
    source,
    type,
    time: new Date().toISOString(),
    ...(subject === undefined ? {} : { subject }),
    datacontenttype: "application/json",
    tasktrailrun: run.id,
    ...(traceparent === undefined ? {} : { traceparent }),
  });
}

/** Writes events into an open transaction: a relay publishes them once it has committed. */
export async function writeEvents(
  engine: Engine,
  session: SqlSession,
  events: readonly PublishedEvent[],
): Promise<void> {
  if (events.length === 0) return;
  const lane = topicsLane(engine.namespace);
  const rows = events.map(
    ({ topic, id, json }): OutboxRow => ({ lane, item: id, record: encodeTopicEvent(topic, json) }),
  );
  await writeRows(statementRunner(session), rows);
}

/** Publishes events at once, all together and in order. Throws RedisUnavailable. */
export async function publishNow(engine: Engine, redis: Redis, events: readonly PublishedEvent[]): Promise<void> {
  const transaction = redis.multi();
  for (const { topic, json } of events)
    transaction.xadd(topicKey(engine.namespace, topic), "MAXLEN", "~", TOPIC_MOST, "*", "event", json);
  const replies = await transaction.exec();
  const refused = replies?.find(([error]) => error !== null)?.[0];
  if (replies === null || refused) throw notPublished(events.length, refused);
}

function notPublished(count: number, cause: unknown): TasktrailError {
  const said = cause instanceof Error ? `: ${cause.message}` : "";
  return new TasktrailError(
    "redis_unavailable",
    `${count} domain events were not published${said}. What the handler did is done.`,
    { cause },
  );
}
