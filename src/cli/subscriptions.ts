import { laneKeys, topicKey } from "../../streams/keys.ts";
import { compareIds, splitId } from "../../streams/ledger.ts";
import { readMark, setMark } from "../../streams/relay.ts";
import {
  decodePosition,
  encodePosition,
  type KnownSubscription,
  listSubscriptions,
  subscriptionMark,
} from "../../streams/subscriptions.ts";
import { readTopic, readTopicState } from "../../streams/topics.ts";
import { EXIT } from "./exit-codes.ts";
import { CliError } from "./failure.ts";
import type { OpenRedis } from "./servers.ts";

/** A subscription, and how far it has come. */
export interface SubscriptionView extends KnownSubscription {
  /** The last event that it has taken. */
  readonly position: string;
  /** How often it was set back. */
  readonly generation: number;
  /** Events that the topic has. */
  readonly length: number;
  /** Events that it has yet to take; counted up to a thousand. */
  readonly lag: number;
  readonly isLagAtLeast: boolean;
  /** How old the first of those is, in ms on Redis' clock. */
  readonly lagMs: number;
}

type Place = Pick<OpenRedis, "redis" | "namespace">;

const MOST = 1_000;

/** Every subscription of the namespace. */
export async function readSubscriptionViews(place: Place): Promise<SubscriptionView[]> {
  const known = await listSubscriptions(place.redis, place.namespace);
  const [seconds] = await place.redis.time();
  return Promise.all(known.map((one) => viewOf(place, one, Number(seconds) * 1_000)));
}

async function viewOf({ redis, namespace }: Place, one: KnownSubscription, nowMs: number): Promise<SubscriptionView> {
  const key = topicKey(namespace, one.topic);
  const [mark, state] = await Promise.all([
    readMark(redis, laneKeys(namespace, one.queue), subscriptionMark(one)),
    readTopicState(redis, key),
  ]);
  const { id, generation } = decodePosition(mark) ?? { id: state?.groups.get(one.group) ?? "0-0", generation: 0 };
  const left = await readTopic(redis, key, { after: id, count: MOST + 1 });
  const [first] = left;
  return {
    ...one,
    position: id,
    generation,
    length: state?.length ?? 0,
    lag: Math.min(left.length, MOST),
    isLagAtLeast: left.length > MOST,
    lagMs: first === undefined ? 0 : Math.max(0, nowMs - splitId(first.id)[0]),
  };
}

/** The id after which to begin, for "start", an instant, or an entry's own id. Throws CliError. */
export function startId(from: string): string {
  if (from === "start") return "0-0";
  if (/^\d{10,}-\d+$/.test(from)) return before(splitId(from));
  const at = Date.parse(from);
  if (!Number.isNaN(at)) return before([at, 0]);
  throw new CliError(EXIT.usage, `"${from}" is no place in a topic.`, {
    advice: 'Give "start", an instant such as 2026-01-31T12:00:00Z, or the id of an entry.',
  });
}

/** The largest id that is smaller. */
function before([ms, seq]: readonly [number, number]): string {
  return seq > 0 ? `${ms}-${seq - 1}` : `${ms - 1}-18446744073709551615`;
}

/** Sets a subscription to another place, as a new generation: what follows becomes new runs. Gives how many events that are. */
export async function redispatch(
  { redis, namespace }: Place,
  view: SubscriptionView,
  { after, isDry }: { readonly after: string; readonly isDry: boolean },
): Promise<number> {
  const key = topicKey(namespace, view.topic);
  let count = 0;
  for (let from = after; ; ) {
    const page = await readTopic(redis, key, { after: from, count: MOST });
    const last = page.at(-1);
    count += page.length;
    if (last === undefined || compareIds(last.id, from) <= 0 || page.length < MOST) break;
    from = last.id;
  }
  if (!isDry) {
    const mark = encodePosition({ generation: view.generation + 1, id: after });
    await setMark(redis, laneKeys(namespace, view.queue), subscriptionMark(view), mark);
  }
  return count;
}
