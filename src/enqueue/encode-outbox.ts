import type { z } from "zod";
import type { CurrentRun } from "../current-run.ts";
import { inPlain } from "../left-out.ts";
import type { outboxRecord, topicEvent } from "./outbox-record.ts";
import type { Dispatch } from "./record.ts";

/** The text of a dispatch for the outbox. */
export function encodeDispatch(dispatch: Dispatch, parent: CurrentRun | undefined): string {
  const { task, body, key, carrier } = dispatch;
  const { queue: _, key: __, ...said } = dispatch.said;
  const record: z.input<typeof outboxRecord> = {
    v: 1,
    task: task.name,
    taskVersion: task.version,
    body,
    ...(dispatch.isOfMany ? { isOfMany: true } : {}),
    key,
    said,
    carrier: carrier === undefined ? undefined : inPlain(carrier),
    parent: parent === undefined ? undefined : { run: parent.run, root: parent.root },
  };
  return JSON.stringify(record);
}

/** The text of a domain event for the outbox. `event` is its JSON. */
export function encodeTopicEvent(topic: string, event: string): string {
  const record: z.input<typeof topicEvent> = { v: 1, topic, event };
  return JSON.stringify(record);
}
