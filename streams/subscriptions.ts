import type { Redis } from "ioredis";
import { topicKeys } from "./keys.ts";

/** A subscription as it is known to everybody, whatever code declared it. */
export interface KnownSubscription {
  readonly topic: string;
  readonly group: string;
  readonly task: string;
  /** The queue that its runs go to; its lane has the position. */
  readonly queue: string;
  readonly isPaused: boolean;
}

/** The field of a lane's marks for a subscription: its generation, a blank, and the last event that it has taken. */
export function subscriptionMark({ topic, group }: Pick<KnownSubscription, "topic" | "group">): string {
  return `topic:${topic}:${group}`;
}

/** How far a subscription has come. Each redispatch is another generation, whose runs are others. */
export interface Position {
  readonly generation: number;
  /** The last event that it has taken. */
  readonly id: string;
}

/** A position as it is kept. */
export function encodePosition({ generation, id }: Position): string {
  return `${generation} ${id}`;
}

/** The position behind a mark; undefined for "0", where nothing has begun. */
export function decodePosition(mark: string): Position | undefined {
  const [generation, id] = mark.split(" ");
  return id === undefined ? undefined : { generation: Number(generation), id };
}

/** Makes a subscription known. */
export async function recordSubscription(
  redis: Redis,
  namespace: string,
  one: Omit<KnownSubscription, "isPaused">,
): Promise<void> {
  const { topic, group, task, queue } = one;
  await redis.hset(topicKeys(namespace).subscriptions, `${topic} ${group}`, JSON.stringify({ task, queue }));
}

/** The subscriptions of a namespace, by topic and group. */
export async function listSubscriptions(redis: Redis, namespace: string): Promise<KnownSubscription[]> {
  const fields = await redis.hgetall(topicKeys(namespace).subscriptions);
  return Object.entries(fields)
    .filter(([field]) => !field.startsWith(PAUSED))
    .map(([field, text]) => {
      const [topic = "", group = ""] = field.split(" ");
      const { task, queue } = JSON.parse(text) as { readonly task: string; readonly queue: string };
      return { topic, group, task, queue, isPaused: fields[`${PAUSED}${field}`] !== undefined };
    })
    .sort((a, b) => (`${a.topic} ${a.group}` < `${b.topic} ${b.group}` ? -1 : 1));
}

/** Whether a subscription is paused: its events wait in the topic. */
export async function isPaused(
  redis: Redis,
  namespace: string,
  { topic, group }: Pick<KnownSubscription, "topic" | "group">,
): Promise<boolean> {
  return (await redis.hget(topicKeys(namespace).subscriptions, `${PAUSED}${topic} ${group}`)) !== null;
}

/** Pauses a subscription, or has it go on. */
export async function setPaused(
  redis: Redis,
  namespace: string,
  { topic, group, isPaused: pausing }: Pick<KnownSubscription, "topic" | "group" | "isPaused">,
): Promise<void> {
  const { subscriptions } = topicKeys(namespace);
  const field = `${PAUSED}${topic} ${group}`;
  if (pausing) await redis.hset(subscriptions, field, "1");
  else await redis.hdel(subscriptions, field);
}

// No topic has a colon in its name.
const PAUSED = "paused:";
