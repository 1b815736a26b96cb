import type { Redis } from "ioredis";
import { derivedId } from "../../streams/ids.ts";
import { topicKey } from "../../streams/keys.ts";
import { encodeEvent } from "../define/payload.ts";
import type { EventPublisher, TopicRecord } from "../define/topic.ts";
import type { Engine } from "../engine.ts";
import { currentRun } from "../enqueue/current-run.ts";
import { invalidOption, TasktrailError } from "../errors.ts";
import type { RunContext } from "../run.ts";

/** Events that a topic keeps, about; the oldest go first. A stream without an end would fill the memory. */
export const TOPIC_KEPT = 100_000;

/** An event that waits for the commit: its stream, and its JSON. */
interface Draft {
  readonly key: string;
  readonly json: string;
}

/**
 * A publisher for one attempt of a run. Data is checked at once; all events go out together, in order, once everything
 * is committed. Their ids are made of the run's and their number, so that a retried run publishes the same ones again.
 */
export function createEventPublisher(engine: Engine, redis: Redis, run: RunContext): EventPublisher {
  const drafts: Draft[] = [];
  let count = 0;
  return {
    publish(topic, data, options = {}) {
      const record = topic as unknown as TopicRecord;
      if (record?.kind !== "tasktrail.topic") throw invalidOption("topic", "takes what topic(name, schema) gives");
      const { json } = encodeEvent(record, data, engine.maxPayloadBytes);
      if (drafts.length === 0) run.onCommit(() => publishAll(redis, drafts.splice(0)));
      const id = options.id ?? derivedId("event", run.id, String(count));
      count += 1;
      const event = envelope(
        { run, source: `/${engine.namespace}/${run.task}`, type: record.name },
        { ...options, id },
      );
      drafts.push({
        key: topicKey(engine.namespace, record.name),
        json: `${event.slice(0, -1)},"data":${json || "null"}}`,
      });
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

async function publishAll(redis: Redis, drafts: readonly Draft[]): Promise<void> {
  const transaction = redis.multi();
  for (const { key, json } of drafts) transaction.xadd(key, "MAXLEN", "~", TOPIC_KEPT, "*", "event", json);
  const replies = await transaction.exec();
  const refused = replies?.find(([error]) => error !== null)?.[0];
  if (replies === null || refused) throw notPublished(drafts.length, refused);
}

function notPublished(count: number, cause: unknown): TasktrailError {
  const said = cause instanceof Error ? `: ${cause.message}` : "";
  return new TasktrailError(
    "redis_unavailable",
    `${count} domain events were not published${said}. The session is committed.`,
    { cause },
  );
}
