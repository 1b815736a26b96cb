import { randomBytes } from "node:crypto";
import { setMaxListeners } from "node:events";
import type { Redis } from "ioredis";
import { ready } from "../../streams/connect.ts";
import { createRedisClock, openLane, pause, registerQueue } from "../../streams/lane.ts";
import { createBell } from "../bell.ts";
import type { Engine } from "../engine.ts";
import { setClock } from "../enqueue/lanes.ts";
import { hearBell } from "./hear-bell.ts";
import { openOutbox } from "./open-outbox.ts";
import { relayLanes } from "./relay-lanes.ts";
import { runSender, type Sender } from "./sender.ts";
import { RELAY_DEFAULTS, type RelaySettings } from "./settings.ts";

/** What a relay is run with. */
export interface RelayRun {
  readonly engine: Engine;
  readonly settings?: Partial<RelaySettings> | undefined;
  /** Told whenever the outbox was looked at. */
  onLook(): void;
}

/** Puts the pieces together, relays until aborted, and closes what was opened. Throws what will not pass by itself. */
export async function relay({ engine, settings: given, onLook }: RelayRun, signal: AbortSignal): Promise<void> {
  setMaxListeners(0, signal);
  const settings = { ...RELAY_DEFAULTS, ...given };
  const { namespace, database } = engine;
  if (database === undefined) return;
  await using opened = new AsyncDisposableStack();
  const announce = engine.announce;
  const redis = await connection(engine, opened);
  const pool = await openOutbox({ database, settings, announce }, signal, opened);
  if (pool === undefined) return;
  const bell = createBell();
  const hearing = hearBell(await connection(engine, opened, "follow"), namespace, bell.ring, signal);
  const owner = `${engine.incarnation}.${randomBytes(3).toString("hex")}`;
  const senderOf = senders(engine, redis, signal);
  await relayLanes({ namespace, pool, owner, settings, senderOf, bell, announce, onLook }, signal);
  await hearing;
}

async function connection(
  engine: Engine,
  opened: AsyncDisposableStack,
  purpose: "command" | "follow" = "command",
): Promise<Redis> {
  return opened.adopt(await engine.connect(purpose), async (one) => one.disconnect(false));
}

/** Makes the sender of a lane, once Redis' clock is known. */
function senders(engine: Engine, redis: Redis, signal: AbortSignal): (lane: string) => Promise<Sender> {
  const { namespace, incarnation } = engine;
  const clock = createRedisClock(() => Math.floor(performance.timeOrigin + performance.now()));
  let isClockSet = false;
  return async (lane) => {
    while (!isClockSet) {
      signal.throwIfAborted();
      if (!(await ready(redis, 2_000, signal))) continue;
      await setClock(redis, clock).then(
        () => {
          isClockSet = true;
        },
        () => pause(200, signal),
      );
    }
    const queue = lane.slice(namespace.length + 1);
    await registerQueue(redis, namespace, queue).catch(() => {}); // the list is for tools
    return runSender(openLane({ redis, namespace, queue, incarnation, clock }), engine.announce) as Sender;
  };
}
