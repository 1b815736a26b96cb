import { refusal } from "../../streams/connect.ts";
import type { Lane } from "../../streams/lane.ts";
import { type Bell, createBell } from "../bell.ts";
import type { Engine } from "../engine.ts";
import { sendHooks } from "../enqueue/around-send.ts";
import { type Current, createCurrent } from "./keep-current.ts";
import type { TimeDeps } from "./keep-time.ts";
import { cronsOf, type Opened } from "./open.ts";
import { refresh } from "./refresh.ts";
import { newSchedule, type SchedulerDeps } from "./schedule.ts";

/** What a scheduler is put together from. */
export interface SchedulerParts {
  readonly engine: Engine;
  readonly opened: Opened;
  /** Default: bells by this machine's time. Tests make hours pass in seconds. */
  readonly makeBell?: (() => Bell) | undefined;
}

/** Puts a scheduler together: what its two loops need, of which one keeps up with Redis, and the other fires. */
export function assemble({ engine, opened, makeBell = createBell }: SchedulerParts): {
  readonly current: Current;
  readonly deps: TimeDeps;
} {
  const { clock, lanes, locks, incarnation, redis } = opened;
  const [bell, refreshBell] = [makeBell(), createBell()];
  const schedules = cronsOf(engine).map((record) => newSchedule(record, lanes.get(record.queue) as Lane));
  const deps: SchedulerDeps = {
    incarnation,
    locks,
    hooks: () => sendHooks(engine.middleware),
    announce: engine.announce,
    now: clock.now,
    elapsed: () => engine.clock.elapsed(),
    schedules,
    bell,
  };
  let isReady = false;
  const current = createCurrent({
    clock: engine.clock,
    redis,
    bell: refreshBell,
    async refresh() {
      await refresh(deps);
      if (!isReady) engine.announce({ kind: "role.ready", role: "scheduler", facts: { schedules: schedules.length } });
      isReady = true;
    },
    failed(error) {
      if (isOurs(error, opened)) engine.announce({ kind: "problem", what: "schedules could not be read", error });
    },
  });
  redis.on("ready", refreshBell.ring); // what it keeps may not be what it kept
  const isCurrent = () => {
    if (current.isKnown()) return true;
    refreshBell.ring();
    return false;
  };
  return { current, deps: { ...deps, isCurrent } };
}

/** True for what is not told already by the connection itself. */
function isOurs(error: unknown, { redis }: Opened): boolean {
  return redis.status === "ready" && refusal((error as Error).cause ?? error) !== "away";
}
