import { randomBytes } from "node:crypto";
import { setMaxListeners } from "node:events";
import type { Redis } from "ioredis";
import type { DatabasePool } from "slonik";
import { topicsLane } from "../../sql/outbox-insert.ts";
import { bellKey } from "../../streams/keys.ts";
import { createBell } from "../bell.ts";
import type { Engine } from "../engine.ts";
import { hearBell } from "../hear-bell.ts";
import { followTopics } from "./follow-topics.ts";
import { createRelayedLanes, type RelayedLanes } from "./lanes.ts";
import { openOutbox } from "./open-outbox.ts";
import { relayLanes } from "./relay-lanes.ts";
import { runSender, type Sender } from "./sender.ts";
import { RELAY_DEFAULTS, type RelaySettings } from "./settings.ts";
import { topicSender } from "./topic-sender.ts";

/** What a relay is run with. */
export interface RelayRun {
  readonly engine: Engine;
  readonly settings?: Partial<RelaySettings> | undefined;
  /** Resolves when somebody else has made the tables. Default: the relay makes them itself. */
  readonly tables?: Promise<void> | undefined;
  /** Told whenever the outbox was looked at. */
  onLook(): void;
}

/** Relays the outbox, where there is a Postgres, and follows the topics that are subscribed to, until aborted. Throws what will not pass by itself. */
export async function relay({ engine, settings: given, tables, onLook }: RelayRun, signal: AbortSignal): Promise<void> {
  const ours = new AbortController();
  const until = AbortSignal.any([signal, ours.signal]);
  setMaxListeners(0, until);
  const settings = { ...RELAY_DEFAULTS, ...given };
  await using opened = new AsyncDisposableStack();
  const redis = opened.adopt(await engine.connect("command"), async (one) => one.disconnect(false));
  const lanes = createRelayedLanes(engine, redis, until);
  const parts: Parts = { engine, settings, tables, redis, opened, onLook, lanes };
  const both = [relayOutbox(parts, until), followTopics(parts, until)];
  for (const work of both) work.catch(() => ours.abort());
  const failed = (await Promise.allSettled(both)).find(({ status }) => status === "rejected");
  if (failed?.status === "rejected") throw failed.reason;
}

interface Parts {
  readonly engine: Engine;
  readonly settings: RelaySettings;
  readonly tables: Promise<void> | undefined;
  readonly redis: Redis;
  readonly opened: AsyncDisposableStack;
  readonly lanes: RelayedLanes;
  onLook(): void;
}

async function relayOutbox(parts: Parts, signal: AbortSignal): Promise<void> {
  const { engine, settings, tables, opened, onLook } = parts;
  const { namespace, database, announce, incarnation } = engine;
  if (database === undefined) return;
  const pool = await openOutbox({ database, settings, tables, announce }, signal, opened);
  if (pool === undefined) return;
  const bell = createBell();
  const ears = opened.adopt(await engine.connect("follow"), async (one) => one.disconnect(false));
  const hearing = hearBell(ears, { keys: [bellKey(namespace)], ring: bell.ring }, signal);
  const owner = `${incarnation}.${randomBytes(3).toString("hex")}`;
  const senderOf = (lane: string) => makeSender(parts, pool, lane);
  await relayLanes({ namespace, pool, owner, settings, senderOf, bell, announce, onLook }, signal);
  await hearing;
}

async function makeSender(
  { engine, settings, redis, lanes }: Parts,
  pool: DatabasePool,
  lane: string,
): Promise<Sender> {
  const { namespace } = engine;
  if (lane !== topicsLane(namespace))
    return runSender(await lanes.open(lane.slice(namespace.length + 1)), engine.announce) as Sender;
  const place = { redis, namespace, clock: lanes.clock };
  return topicSender({ place, pool, lane, keepMs: settings.keepEventsMs }) as Sender;
}
