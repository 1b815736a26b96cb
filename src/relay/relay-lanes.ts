import type { DatabasePool } from "slonik";
import { deleteOldDone } from "../../sql/queries/inbox.ts";
import { findFreeLanes, findWaitingLanes, keepLanes, leaveLane, takeLane } from "../../sql/queries/outbox.ts";
import { type Bell, createBell } from "../bell.ts";
import type { Notice } from "../middleware.ts";
import { relayLane } from "./relay-lane.ts";
import type { Sender } from "./sender.ts";
import { type RelaySettings, relayBackoffMs } from "./settings.ts";

/** What an outbox is relayed with. */
export interface OutboxRelay {
  readonly namespace: string;
  readonly pool: DatabasePool;
  /** A name for this life of this relay. */
  readonly owner: string;
  readonly settings: RelaySettings;
  /** How the rows of a lane are sent; throws for a lane that cannot be. */
  senderOf(lane: string): Promise<Sender>;
  /** Rings when a transaction may have committed. */
  readonly bell: Bell;
  announce(notice: Notice): void;
  /** Told at each look that went well. */
  onLook(): void;
}

interface Relaying {
  readonly bell: Bell;
  readonly stop: AbortController;
  readonly done: Promise<void>;
}

/** A lane that no queue can have is left alone for so long, in ms. */
const NO_LANE_MS = 60_000;
/** How many rows of the inbox go at once. */
const SWEPT_AT_ONCE = 20_000;

/**
 * Relays all lanes of a namespace until aborted, side by side. A lane is written by the relay that has its lease; every lane that ever had
 * rows is somebody's, so that a Redis which has lost its tail is noticed also where nothing is dispatched any more.
 */
export async function relayLanes(deps: OutboxRelay, signal: AbortSignal): Promise<void> {
  const { settings, pool, namespace, owner } = deps;
  const relaying = new Map<string, Relaying>();
  const refusedUntil = new Map<string, number>();
  let nextRound = 0;
  let nextSweep = performance.now() + settings.sweepEveryMs;
  let failures = 0;

  const take = async (lane: string) => {
    if (relaying.has(lane) || (refusedUntil.get(lane) ?? 0) > performance.now()) return;
    const held = await takeLane(pool, { lane, owner, leaseMs: settings.leaseMs });
    if (held === undefined) return void refusedUntil.set(lane, performance.now() + settings.standbyMs);
    const sender = await senderOf(deps, lane, signal);
    if (sender === undefined) return void refusedUntil.set(lane, performance.now() + NO_LANE_MS);
    const bell = createBell();
    const stop = new AbortController();
    const until = AbortSignal.any([signal, stop.signal]);
    const work = relayLane({ pool, owner, sender, bell, settings, announce: deps.announce }, held, until);
    relaying.set(lane, { bell, stop, done: work.finally(() => relaying.delete(lane)) });
  };
  const round = async () => {
    const kept = new Set(await keepLanes(pool, owner, settings.leaseMs));
    for (const [lane, { stop }] of relaying) if (!kept.has(lane)) stop.abort();
    for (const lane of await findFreeLanes(pool, namespace)) await take(lane);
    if (performance.now() < nextSweep) return;
    nextSweep = performance.now() + settings.sweepEveryMs;
    await deleteOldDone(pool, { keepMs: settings.keepDoneMs, limit: SWEPT_AT_ONCE });
  };

  while (!signal.aborted) {
    let waitMs = settings.pollMs;
    try {
      if (performance.now() >= nextRound) {
        await round();
        nextRound = performance.now() + settings.leaseMs / 3;
      }
      for (const lane of await findWaitingLanes(pool, namespace)) {
        const known = relaying.get(lane);
        if (known === undefined) await take(lane);
        else known.bell.ring();
      }
      failures = 0;
      deps.onLook();
    } catch (error) {
      failures += 1;
      waitMs = relayBackoffMs(failures, settings);
      if (!signal.aborted && (failures === 1 || failures % 10 === 0))
        deps.announce({
          kind: "problem",
          what: "the outbox cannot be looked at; it will be tried again",
          error,
          facts: { failures },
        });
    }
    await deps.bell.sleep(waitMs, signal);
  }
  const lanes = [...relaying.keys()];
  await Promise.allSettled(Array.from(relaying.values(), ({ done }) => done));
  await Promise.allSettled(lanes.map((lane) => leaveLane(pool, lane, owner)));
}

/** The sender of a lane; undefined for one that nobody can send to, whose rows must not hold up the others. */
async function senderOf(deps: OutboxRelay, lane: string, signal: AbortSignal): Promise<Sender | undefined> {
  try {
    return await deps.senderOf(lane);
  } catch (error) {
    if (!signal.aborted)
      deps.announce({ kind: "problem", what: "the outbox has rows for a lane that cannot be", error, facts: { lane } });
    return undefined;
  }
}
