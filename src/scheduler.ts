import { refusal } from "../streams/connect.ts";
import { ensureLane, type Lane, pause } from "../streams/lane.ts";
import { schedulerSettings } from "./config.ts";
import type { Broker } from "./define/broker.ts";
import type { Health, Role, SchedulerOptions } from "./define/role.ts";
import { engineOf } from "./engine.ts";
import { makeRole } from "./roles.ts";
import { assemble } from "./schedule/assemble.ts";
import { type Current, REFRESH_MS } from "./schedule/keep-current.ts";
import { keepTime } from "./schedule/keep-time.ts";
import { cronsOf, openScheduler } from "./schedule/open.ts";

/**
 * Makes a scheduler: it fires the slots of every `cron()` of the broker, each slot once, however many schedulers run.
 * A slot is fired under Redlock, which spares the others the work; that it fires once is held by a compare-and-set in Redis.
 * Waits for Redis when it is away; what passes meanwhile is for the misfire policy. Opens nothing before `run`.
 * Throws InvalidOption for an option that cannot be, DuplicateTask when two crons share a name.
 */
export function createScheduler(broker: Broker, options: SchedulerOptions = {}): Role {
  const { locks } = schedulerSettings(options, process.env);
  const engine = engineOf(broker);
  cronsOf(engine);
  let current: Current | undefined;
  let isLive = false;

  const run = async (signal: AbortSignal) => {
    isLive = true;
    try {
      await using opened = await openScheduler(engine, locks);
      const parts = assemble({ engine, opened });
      current = parts.current;
      for (const lane of opened.lanes.values()) await prepare(lane, signal);
      await Promise.all([parts.current.keep(signal), keepTime(parts.deps, signal), parts.hear(signal)]);
    } finally {
      isLive = false;
      engine.announce({ kind: "role.stopped", role: "scheduler" });
    }
  };
  return makeRole({ run, health: () => healthOf(current, isLive) });
}

/** Makes what a lane needs, as soon as Redis is there. Throws when this version cannot work with it. */
async function prepare(lane: Lane, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    try {
      await ensureLane(lane.redis, lane.namespace, lane.queue);
      return;
    } catch (error) {
      if (!["away", "full"].includes(refusal(error))) throw error;
      await pause(200, signal);
    }
  }
}

function healthOf(current: Current | undefined, isLive: boolean): Health {
  const lastReadAgeMs = current?.ageMs() ?? 0;
  const isReady = isLive && current?.isKnown() === true && lastReadAgeMs < 3 * REFRESH_MS;
  return { isLive, isReady, lastReadAgeMs };
}
