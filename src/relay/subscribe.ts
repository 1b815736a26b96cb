import type { Redis } from "ioredis";
import { topicKey } from "../../streams/keys.ts";
import { type Lane, pause } from "../../streams/lane.ts";
import { readMark, takeStep } from "../../streams/relay.ts";
import {
  decodePosition,
  encodePosition,
  isPaused,
  type Position,
  recordSubscription,
  subscriptionMark,
} from "../../streams/subscriptions.ts";
import { ensureGroup, isTrimmedPast, moveGroup, readTopic, readTopicState } from "../../streams/topics.ts";
import type { Bell } from "../bell.ts";
import type { Subscription } from "../define/subscription.ts";
import type { Notice } from "../middleware.ts";
import { toRuns } from "./event-runs.ts";
import { type RelaySettings, relayBackoffMs } from "./settings.ts";

/** What a topic is followed with, for one subscription. */
export interface Subscribing {
  readonly namespace: string;
  readonly redis: Redis;
  readonly subscription: Subscription;
  /** The lane that its runs go to. */
  readonly lane: Lane;
  /** Rings when something was published. */
  readonly bell: Bell;
  readonly settings: RelaySettings;
  readonly maxPayloadBytes: number;
  announce(notice: Notice): void;
}

/** Events that are read at once. */
const BATCH = 100;
/** How long a position, and whether there is a pause, are taken to be what they were, in ms. */
const LOOK_MS = 1_000;

/**
 * Turns the events of a topic into runs until aborted, in order. The position lies in the lane that the runs go to, and moves in the very
 * script that enqueues them: however many relays do this, and wherever they die, each event is taken once. The group's own position in
 * the topic follows; it is what tools see, and what the topic is trimmed behind.
 */
export async function subscribe(deps: Subscribing, signal: AbortSignal): Promise<void> {
  const { redis, subscription, namespace, lane, bell, settings } = deps;
  const key = topicKey(namespace, subscription.topic.name);
  const field = subscriptionMark({ topic: subscription.topic.name, group: subscription.group });
  let place: Place | undefined;
  let failures = 0;
  while (!signal.aborted) {
    try {
      if (place === undefined || performance.now() - place.seenAt > LOOK_MS)
        place = await findPlace(deps, key, field, place?.warnedOf);
      const entries = place.isPaused ? [] : await readTopic(redis, key, { after: place.position.id, count: BATCH });
      failures = 0;
      if (entries.length === 0) {
        await bell.sleep(LOOK_MS, signal);
        continue;
      }
      const { generation } = place.position;
      const { records, notes, lastId } = await toRuns(entries, { ...deps, generation });
      for (const { reason, event } of notes) tellOfRefusal(deps, event, reason);
      const to = encodePosition({ generation, id: lastId });
      const stepped = await takeStep(lane, records, { field, from: place.mark, to, notes }, { signal });
      if (stepped.outcome === "passed" && stepped.mark !== to) {
        place = undefined; // another relay is at it, or somebody has set it back
        await pause(settings.standbyMs * Math.random(), signal);
        continue;
      }
      place = { ...place, mark: to, position: { generation, id: lastId } };
      await moveGroup(redis, key, subscription.group, lastId);
    } catch (error) {
      if (signal.aborted) return;
      place = undefined;
      failures += 1;
      if (failures === 1 || failures % 10 === 0) tellOfFailure(deps, { error, failures });
      await pause(relayBackoffMs(failures, settings), signal);
    }
  }
}

interface Place {
  readonly mark: string;
  readonly position: Position;
  readonly isPaused: boolean;
  readonly seenAt: number;
  /** The position of which it was told that the topic was trimmed past it. */
  readonly warnedOf: string | undefined;
}

/** Where a subscription stands. A new one stands where its group begins; one whose task has moved to another queue, where the group stands. */
async function findPlace(deps: Subscribing, key: string, field: string, warnedOf: string | undefined): Promise<Place> {
  const { redis, namespace, subscription, lane } = deps;
  const { topic, group, task, from } = subscription;
  await ensureGroup(redis, key, group, from);
  await recordSubscription(redis, namespace, { topic: topic.name, group, task: task.name, queue: lane.queue });
  const [mark, state, paused] = await Promise.all([
    readMark(redis, lane.keys, field),
    readTopicState(redis, key),
    isPaused(redis, namespace, { topic: topic.name, group }),
  ]);
  const begun = decodePosition(mark);
  const position = begun ?? { generation: 0, id: state?.groups.get(group) ?? "0-0" };
  const isGap = begun !== undefined && state !== undefined && isTrimmedPast(state, begun.id) && begun.id !== "0-0";
  if (isGap && begun.id !== warnedOf) tellOfGap(deps, begun.id, state.firstId);
  return { mark, position, isPaused: paused, seenAt: performance.now(), warnedOf: isGap ? begun.id : undefined };
}

const factsOf = ({ subscription: { topic, group, task } }: Subscribing) => ({
  topic: topic.name,
  group,
  task: task.name,
});

function tellOfGap(deps: Subscribing, position: string, firstLeft = "none"): void {
  const what =
    "a topic was trimmed before a subscription had read it: events are lost to that, since the topic was full";
  deps.announce({ kind: "problem", what, facts: { ...factsOf(deps), position, firstLeft } });
}

function tellOfRefusal(deps: Subscribing, event: string, reason: string): void {
  const what = "an event did not fit a subscription, and has become no run of it";
  deps.announce({ kind: "problem", what, error: new Error(reason), facts: { ...factsOf(deps), event } });
}

function tellOfFailure(deps: Subscribing, { error, failures }: { error: unknown; failures: number }): void {
  const what = "a topic could not be followed; its events wait, and it will be tried again";
  deps.announce({ kind: "problem", what, error, facts: { ...factsOf(deps), failures } });
}
