import type { OpenRedis } from "../servers.ts";
import { readSubscriptionViews, type SubscriptionView } from "../subscriptions.ts";
import { counted, lengthWords } from "../words.ts";
import { type Finding, findings } from "./finding.ts";

const { ok, warn } = findings("streams");

/** A subscription whose next event is that old does not keep up, in ms. */
const LATE_MS = 60_000;

/** The subscriptions: who is behind, and who is paused with events that wait. */
export async function checkTopics(server: Pick<OpenRedis, "redis" | "namespace">): Promise<Finding[]> {
  return (await readSubscriptionViews(server)).map(findingOf);
}

function findingOf(view: SubscriptionView): Finding {
  const { topic, group, lag, isLagAtLeast, lagMs, isPaused } = view;
  const name = `topic ${topic}, group ${group}`;
  if (lag === 0) return ok(`${name}: up to date`);
  const behind = `${isLagAtLeast ? "over " : ""}${counted(lag, "event")} behind, by ${lengthWords(lagMs)}`;
  if (isPaused) return warn(`${name}: paused, ${behind}`, `Resume it: tasktrail topics resume ${topic} ${group}`);
  if (lagMs < LATE_MS) return ok(`${name}: ${behind}`);
  return warn(`${name}: ${behind}`, "See that a relay or a projector runs whose application has this subscription.");
}
