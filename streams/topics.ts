import type { Redis } from "ioredis";
import { TOPIC_MOST, topicKey, topicKeys } from "./keys.ts";
import { type CallLimits, callScript, type Lane } from "./lane.ts";
import { compareIds } from "./ledger.ts";

/** A domain event on its way to its topic: its JSON. */
export interface TopicEvent {
  readonly topic: string;
  readonly event: string;
}

/** An event as it lies in its topic. */
export interface TopicEntry {
  readonly id: string;
  /** CloudEvents 1.0 as JSON; empty when a stranger has put something else there. */
  readonly event: string;
}

/** Where topics are, and by whose clock. */
export type TopicPlace = Pick<Lane, "redis" | "clock" | "namespace">;

/** The number of the last batch of the outbox that was published; "0" when there was none. */
export async function readTopicsMark({ redis, namespace }: Pick<TopicPlace, "redis" | "namespace">): Promise<string> {
  return (await redis.hget(topicKeys(namespace).marks, "outbox")) ?? "0";
}

/** Publishes the events of the batch after `from`: all of them or none, and once however often it is asked. Gives the number of the last batch that is published then. */
export async function publishBatch(
  place: TopicPlace,
  events: readonly TopicEvent[],
  { from, to, ...limits }: { readonly from: string; readonly to: string } & CallLimits,
): Promise<string> {
  const keys = [topicKeys(place.namespace).marks, ...events.map(({ topic }) => topicKey(place.namespace, topic))];
  const args = ["outbox", from, to, TOPIC_MOST, ...events.map(({ event }) => event)];
  return String((await callScript(place, { script: "publish", keys, args }, limits))[2]);
}

/** The entries after one, oldest first. */
export async function readTopic(
  redis: Redis,
  key: string,
  { after, count }: { readonly after: string; readonly count: number },
): Promise<TopicEntry[]> {
  const entries = await redis.xrange(key, `(${after}`, "+", "COUNT", count);
  return entries.map(([id, fields]) => ({ id, event: fields[0] === "event" ? (fields[1] ?? "") : "" }));
}

/** Makes a group, and the topic with it, where there is none. */
export async function ensureGroup(redis: Redis, key: string, group: string, from: "start" | "now"): Promise<void> {
  try {
    await redis.xgroup("CREATE", key, group, from === "start" ? "0" : "$", "MKSTREAM");
  } catch (error) {
    if (!(error instanceof Error && error.message.startsWith("BUSYGROUP"))) throw error;
  }
}

/** How a topic is. */
export interface TopicState {
  readonly length: number;
  readonly firstId: string | undefined;
  readonly lastId: string;
  /** How many events it ever had. */
  readonly addedCount: number;
  /** Each group's position: the last event that it has taken. */
  readonly groups: ReadonlyMap<string, string>;
}

/** How a topic is; undefined when it does not exist. */
export async function readTopicState(redis: Redis, key: string): Promise<TopicState | undefined> {
  if ((await redis.exists(key)) === 0) return undefined;
  const [stream, groups] = await Promise.all([redis.xinfo("STREAM", key), redis.xinfo("GROUPS", key)]);
  const told = fieldsOf(stream as unknown[]);
  const first = told.get("first-entry") as [string] | null;
  const positions = (groups as unknown[][]).map((group): [string, string] => {
    const fields = fieldsOf(group);
    return [String(fields.get("name")), String(fields.get("last-delivered-id"))];
  });
  return {
    length: Number(told.get("length")),
    firstId: first?.[0],
    lastId: String(told.get("last-generated-id")),
    addedCount: Number(told.get("entries-added")),
    groups: new Map(positions),
  };
}

function fieldsOf(reply: readonly unknown[]): Map<string, unknown> {
  const fields = new Map<string, unknown>();
  for (let i = 0; i + 1 < reply.length; i += 2) fields.set(String(reply[i]), reply[i + 1]);
  return fields;
}

/**
 * Whether a topic was trimmed up to a position, or past it: what was not read by then is gone. Redis tells of no id that it has trimmed, so
 * this goes by the first one that is left: whoever keeps up still finds the event that they have read last. Pure.
 */
export function isTrimmedPast(
  { firstId, lastId, length, addedCount }: Omit<TopicState, "groups">,
  position: string,
): boolean {
  return addedCount > length && compareIds(firstId ?? lastId, position) > 0;
}

/** Sets the position that tools see, and that the topic is trimmed behind. */
export async function moveGroup(redis: Redis, key: string, group: string, id: string): Promise<void> {
  await redis.xgroup("SETID", key, group, id);
}

/** Removes what every group has taken and what is older than `keepMs`, by whole nodes of the stream. */
export async function trimTopic(
  redis: Redis,
  key: string,
  { nowMs, keepMs }: { nowMs: number; keepMs: number },
): Promise<number> {
  const state = await readTopicState(redis, key);
  if (state === undefined) return 0;
  return redis.xtrim(key, "MINID", "~", trimTopicBelow(state, nowMs - keepMs));
}

/** The id below which a topic may go: behind its slowest group, and older than an instant. Pure. */
export function trimTopicBelow({ groups }: Pick<TopicState, "groups">, beforeMs: number): string {
  const byAge = `${Math.max(0, Math.trunc(beforeMs))}-0`;
  return [...groups.values()].reduce((least, id) => (compareIds(id, least) < 0 ? id : least), byAge);
}
