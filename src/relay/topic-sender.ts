import type { DatabasePool } from "slonik";
import { deleteOldBatches } from "../../sql/queries/outbox.ts";
import { publishBatch, readTopicsMark, type TopicEvent, type TopicPlace } from "../../streams/topics.ts";
import { decodeTopicEvent } from "../enqueue/outbox-record.ts";
import type { Sender } from "./sender.ts";

/** What the events of an outbox are published with. */
export interface TopicSenderParts {
  readonly place: TopicPlace;
  readonly pool: DatabasePool;
  readonly lane: string;
  /** How long rows stay once they are sent, in ms: no archive holds them, and Redis may lose its tail. */
  readonly keepMs: number;
}

/** Publishes domain events on their topics. */
export function topicSender({ place, pool, lane, keepMs }: TopicSenderParts): Sender<TopicEvent> {
  return {
    mark: () => readTopicsMark(place),
    decode({ id, record }) {
      const value = decodeTopicEvent(record);
      return { id, value, bytes: Buffer.byteLength(value.event) };
    },
    send: (batch, step) =>
      publishBatch(
        place,
        batch.map(({ value }) => value),
        step,
      ),
    async prune(upTo) {
      await deleteOldBatches(pool, { lane, upTo, keepMs });
    },
  };
}
