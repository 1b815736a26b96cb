import { z } from "zod";
import type { EntryRetry } from "../../streams/entry.ts";
import { isKeyPart } from "../../streams/keys.ts";
import type { ResolvedDispatch } from "../define/resolve-dispatch.ts";
import type { Dispatch } from "./record.ts";

const ms = z.number().nonnegative();
const retry: z.ZodType<EntryRetry> = z.object({
  attempts: z.int().positive().optional(),
  backoff: z.enum(["exponential", "fixed"]).optional(),
  delayMs: ms.optional(),
  maxDelayMs: ms.optional(),
  jitter: z.number().optional(),
});

/** A dispatch as it stands in the outbox. Times are lengths, counted from when it was written; `atMs` alone is an instant. */
export const outboxRecord = z.object({
  v: z.literal(1),
  task: z.string().min(1),
  taskVersion: z.int().positive(),
  body: z.string(),
  isOfMany: z.boolean().optional(),
  key: z.string().optional(),
  said: z.object({
    delayMs: ms.optional(),
    atMs: ms.optional(),
    keyTtl: z.union([ms, z.literal("run")]),
    expiresMs: ms.optional(),
    labels: z.record(z.string(), z.string()).optional(),
    timeoutMs: ms.optional(),
    retry: retry.optional(),
  }),
  carrier: z
    .object({
      traceparent: z.string().optional(),
      tracestate: z.string().optional(),
      baggage: z.string().optional(),
    })
    .optional(),
  parent: z.object({ run: z.string(), root: z.string() }).optional(),
});

/** The dispatch behind its text; `nowMs` is when it was written, on Redis' clock. Throws for what no version of ours has written. */
export function decodeDispatch(run: string, text: string, nowMs: number): Dispatch {
  const {
    task,
    taskVersion,
    body,
    isOfMany = false,
    key,
    said,
    carrier,
    parent,
  } = outboxRecord.parse(JSON.parse(text));
  if (body !== "") JSON.parse(body);
  const whole: ResolvedDispatch = {
    delayMs: said.delayMs,
    atMs: said.atMs,
    key,
    keyTtl: said.keyTtl,
    expiresMs: said.expiresMs,
    queue: undefined,
    labels: said.labels,
    timeoutMs: said.timeoutMs,
    retry: said.retry,
  };
  return { task: { name: task, version: taskVersion }, run, body, said: whole, key, carrier, isOfMany, nowMs, parent };
}

/** A domain event as it stands in the outbox. */
export const topicEvent = z.object({ v: z.literal(1), topic: z.string().refine(isKeyPart), event: z.string() });

/** The domain event behind its text. Throws for what no version of ours has written. */
export function decodeTopicEvent(text: string): { readonly topic: string; readonly event: string } {
  const record = topicEvent.parse(JSON.parse(text));
  JSON.parse(record.event);
  return record;
}
