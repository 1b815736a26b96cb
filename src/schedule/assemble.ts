import { refusal } from "../../streams/connect.ts";
import { scheduleBellKey } from "../../streams/keys.ts";
import { listQueues, pause } from "../../streams/lane.ts";
import { type Bell, createBell } from "../bell.ts";
import { decodeInput } from "../define/payload.ts";
import type { Engine } from "../engine.ts";
import { sendHooks } from "../enqueue/around-send.ts";
import { hearBell } from "../hear-bell.ts";
import { contentOf } from "./definition.ts";
import { type Current, createCurrent } from "./keep-current.ts";
import type { TimeDeps } from "./keep-time.ts";
import { cronsOf, laneOf, type Opened } from "./open.ts";
import { type RefreshDeps, refresh } from "./refresh.ts";
import { newSchedule, type Schedule } from "./schedule.ts";

/** What a scheduler is put together from. */
export interface SchedulerParts {
  readonly engine: Engine;
  readonly opened: Opened;
  /** Default: bells by this machine's time. Tests make hours pass in seconds. */
  readonly makeBell?: (() => Bell) | undefined;
}

/** After a change was heard of, those that follow are gathered for so long, in ms: a thousand of them are no thousand looks. */
const GATHER_MS = 100;

/** A scheduler that is put together: one loop keeps up with Redis, another fires, and the third hears of changes. */
export interface Assembled {
  readonly current: Current;
  readonly deps: TimeDeps & RefreshDeps;
  /** Has what Redis keeps be read anew as soon as a schedule is changed, until aborted. */
  hear(signal: AbortSignal): Promise<void>;
}

/** Puts a scheduler together: what its loops need. */
export function assemble({ engine, opened, makeBell = createBell }: SchedulerParts): Assembled {
  const { clock, locks, incarnation, redis, namespace } = opened;
  const [bell, refreshBell] = [makeBell(), makeBell()];
  const lane = (queue: string) => laneOf(opened, queue);
  const crons = cronsOf(engine);
  const own = new Set(crons.map(({ queue }) => queue));
  const deps: RefreshDeps = {
    incarnation,
    locks,
    hooks: () => sendHooks(engine.middleware),
    announce: engine.announce,
    now: clock.now,
    elapsed: () => engine.clock.elapsed(),
    schedules: crons.map((cron) => newSchedule({ name: cron.name, own: contentOf(cron), lane: lane(cron.queue) })),
    bell,
    findQueues: async () => [...new Set([...own, ...(await listQueues(redis, namespace))])],
    laneOf: lane,
    revisions: new Map(),
    met: (schedule) => checkInput(engine, schedule),
  };
  let isReady = false;
  const current = createCurrent({
    clock: engine.clock,
    redis,
    bell: refreshBell,
    redisNow: clock.now,
    async refresh() {
      await refresh(deps);
      const facts = { schedules: deps.schedules.length };
      if (!isReady) engine.announce({ kind: "role.ready", role: "scheduler", facts });
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
  const hear = (signal: AbortSignal) => {
    const ring = () => {
      refreshBell.ring();
      return pause(GATHER_MS, signal);
    };
    return hearBell(opened.ears, { keys: [scheduleBellKey(namespace)], ring, from: "0" }, signal);
  };
  return { current, deps: { ...deps, isCurrent }, hear };
}

/** True for what is not told already by the connection itself. */
function isOurs(error: unknown, { redis }: Opened): boolean {
  return redis.status === "ready" && refusal((error as Error).cause ?? error) !== "away";
}

/** A schedule keeps its input as it was when it was made. Whether it still fits is seen here, before its runs die of it one by one. */
function checkInput({ task, announce }: Engine, { name, known }: Schedule): void {
  const { content } = known?.definition ?? {};
  const record = content === undefined ? undefined : task(content.task);
  if (content === undefined || record === undefined || record.version < (content.taskVersion ?? 1)) return;
  const failed = (error: unknown) => {
    const what = "the input that a schedule keeps no longer fits its task, and its runs will die: upsert it again";
    announce({ kind: "problem", what, error, facts: { schedule: name, task: record.name } });
  };
  try {
    Promise.resolve(decodeInput(record, content.input ?? "")).catch(failed);
  } catch (error) {
    failed(error);
  }
}
