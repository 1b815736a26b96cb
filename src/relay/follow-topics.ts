import type { Redis } from "ioredis";
import { topicKey } from "../../streams/keys.ts";
import { pause } from "../../streams/lane.ts";
import { trimTopic } from "../../streams/topics.ts";
import { createBell } from "../bell.ts";
import type { Engine } from "../engine.ts";
import { hearBell } from "../hear-bell.ts";
import type { RelayedLanes } from "./lanes.ts";
import type { RelaySettings } from "./settings.ts";
import { subscribe } from "./subscribe.ts";

/** What topics are followed with. */
export interface TopicsFollowing {
  readonly engine: Engine;
  readonly redis: Redis;
  readonly settings: RelaySettings;
  readonly opened: AsyncDisposableStack;
  readonly lanes: RelayedLanes;
}

/** Follows every topic that the application subscribes to, side by side, and keeps topics short, until aborted. */
export async function followTopics(parts: TopicsFollowing, signal: AbortSignal): Promise<void> {
  const { engine, redis, settings, opened, lanes } = parts;
  const { namespace, subscriptions, announce, maxPayloadBytes } = engine;
  if (subscriptions.length === 0) return;
  const keys = [...new Set(subscriptions.map(({ topic }) => topicKey(namespace, topic.name)))];
  const ears = opened.adopt(await engine.connect("follow"), async (one) => one.disconnect(false));
  const bells = subscriptions.map(() => createBell());
  const ring = () => bells.forEach((bell) => void bell.ring());
  const hearing = hearBell(ears, { keys, ring }, signal);
  const following = subscriptions.map(async (subscription, index) => {
    const lane = await lanes.open(subscription.said.queue ?? subscription.task.queue).catch(() => undefined);
    const bell = bells[index] as (typeof bells)[0];
    if (lane === undefined) return; // aborted before Redis was there
    await subscribe({ namespace, redis, subscription, lane, bell, settings, maxPayloadBytes, announce }, signal);
  });
  await Promise.all([hearing, keepShort({ redis, keys, settings }, signal), ...following]);
}

/** Trims topics behind their slowest group, and by age, until aborted. */
async function keepShort(
  {
    redis,
    keys,
    settings,
  }: { readonly redis: Redis; readonly keys: readonly string[]; readonly settings: RelaySettings },
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    await pause(settings.trimEveryMs * (0.5 + Math.random()), signal);
    for (const key of keys) {
      if (signal.aborted) return;
      // What fails here is away for the others, too, who say so.
      await redis
        .time()
        .then(([seconds]) => trimTopic(redis, key, { nowMs: Number(seconds) * 1_000, keepMs: settings.keepTopicsMs }))
        .catch(() => {});
    }
  }
}
