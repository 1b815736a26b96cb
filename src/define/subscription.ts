import { isKeyPart } from "../../streams/keys.ts";
import { KEY_PART_RULE } from "../defaults.ts";
import { invalidOption } from "../errors.ts";
import type { DispatchOptions } from "./dispatch.ts";
import { checkKeys, oneOf, shown } from "./options.ts";
import { type ResolvedDispatch, resolveDispatch } from "./resolve-dispatch.ts";
import { dispatchesOf, type TaskRecord } from "./task.ts";
import type { TopicRecord } from "./topic.ts";

/** What may be said about a subscription. */
export interface SubscriptionOptions {
  /** The consumer group: who has it, shares its position. Default: the task's name. */
  readonly group?: string | undefined;
  /** Where a new group starts: with the oldest event that there is, or with those to come. Default "now". */
  readonly from?: "start" | "now" | undefined;
}

/** A subscription as the engine sees it. */
export interface Subscription {
  readonly topic: TopicRecord;
  readonly group: string;
  readonly from: "start" | "now";
  readonly task: TaskRecord;
  /** Said of each run, as it was given and as it is meant. */
  readonly options: DispatchOptions;
  readonly said: ResolvedDispatch;
}

/** Checks a subscription. Throws InvalidOption. */
export function declareSubscription(source: unknown, task: unknown, options: SubscriptionOptions = {}): Subscription {
  const topic = source as TopicRecord | undefined;
  if (topic?.kind !== "tasktrail.topic")
    throw invalidOption("source", "takes what topic(name, schema), or its map(), gives");
  const dispatches = dispatchesOf(task);
  if (dispatches === undefined)
    throw invalidOption("task", `topic "${topic.name}" takes a task, a bound contract, or task.with({ … })`);
  checkKeys("on()", options, ["group", "from"]);
  const { record, options: given } = dispatches;
  const { group = record.name, from = "now" } = options;
  if (typeof group !== "string" || !isKeyPart(group))
    throw invalidOption("group", `${shown(group)} cannot be a group: ${KEY_PART_RULE}`);
  for (const name of ["key", "keyTtl", "session"] as const) {
    if (given[name] !== undefined)
      throw invalidOption(name, "a subscription keys its runs by their events, and dispatches outside of any session");
  }
  const said = resolveDispatch(given);
  return { topic, group, from: oneOf("from", from, ["start", "now"]), task: record, options: given, said };
}
