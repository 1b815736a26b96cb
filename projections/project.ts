import { setMaxListeners } from "node:events";
import type { DatabasePool } from "slonik";
import type { DatabaseSource } from "../sql/pool.ts";
import { listQueues, pause } from "../streams/lane.ts";
import { projections as shipped } from "./all.ts";
import { createDays } from "./days.ts";
import { keepOwn, type OpenOwn, openAllOwn } from "./keep-own.ts";
import { projectLane } from "./lane.ts";
import type { LaneState, ProjectorNotice } from "./lane-deps.ts";
import { open } from "./open.ts";
import type { OwnDefinition } from "./own.ts";
import { type AnyProjection, HistoryViolation } from "./projection.ts";
import { answered, type Redis } from "./read.ts";
import { createRetention } from "./retain.ts";
import { PROJECTOR_DEFAULTS, type ProjectorSettings } from "./settings.ts";

/** What a projector is made of. */
export interface ProjectorDeps {
  readonly namespace: string;
  readonly database: DatabaseSource;
  /** Opens a Redis connection of our own: "project" for commands, "follow" for the blocking reads of one lane. We close it. */
  connect(purpose: "project" | "follow"): Promise<Redis>;
  /** Queues to follow besides those that were ever written to. */
  queues(): readonly string[];
  announce(notice: ProjectorNotice): void;
  /** Called once the tables are there. */
  onTables?: (() => void) | undefined;
  readonly settings?: Partial<ProjectorSettings> | undefined;
  /** Default: those that come with the engine. */
  readonly projections?: readonly AnyProjection[] | undefined;
  /** The application's own. */
  readonly own?: readonly OwnDefinition[] | undefined;
}

/** How a projector is. `lastReadAgeMs`: since the lane that was read least recently was read. */
export interface ProjectorHealth {
  readonly isLive: boolean;
  readonly isReady: boolean;
  readonly lastReadAgeMs: number;
  /** The state of each lane, by queue. */
  readonly lanes: Readonly<Record<string, LaneState>>;
}

/** A projector: keeps the archive and the tables of a namespace. */
export interface Projector {
  /** Runs until aborted. Rejects when it cannot go on: a schema that does not fit, or a history that breaks the rules. */
  run(signal: AbortSignal): Promise<void>;
  health(): ProjectorHealth;
}

/** A read older than this means that the projector no longer lives, whatever it says. */
const DEAD_AFTER_MS = 60_000;

/** Makes a projector. Opens nothing before it is run. */
export function createProjection(deps: ProjectorDeps): Projector {
  const settings = { ...PROJECTOR_DEFAULTS, ...deps.settings };
  const lanes = new Map<string, { state: LaneState; readAt: number }>();
  let isRunning = false;
  return {
    async run(signal) {
      const ours = new AbortController();
      const until = AbortSignal.any([signal, ours.signal]);
      setMaxListeners(0, until); // every lane listens
      isRunning = true;
      try {
        await using closing = new AsyncDisposableStack();
        const servers = await open({ ...deps, settings }, until, closing);
        if (servers === undefined) return;
        const opened = await openAllOwn(servers.pool, deps.own ?? []);
        await followAll({ ...deps, ...servers, settings, lanes, opened }, until, ours);
      } finally {
        isRunning = false;
      }
    },
    health() {
      const states = [...lanes.values()].filter(({ state }) => state !== "stopped");
      const oldest = Math.min(...states.map(({ readAt }) => readAt), performance.now());
      const lastReadAgeMs = Math.round(performance.now() - oldest);
      return {
        isLive: isRunning && lastReadAgeMs < DEAD_AFTER_MS,
        isReady:
          isRunning &&
          states.length > 0 &&
          [...lanes.values()].every(({ state }) => state === "following" || state === "standby"),
        lastReadAgeMs,
        lanes: Object.fromEntries([...lanes].map(([queue, { state }]) => [queue, state])),
      };
    },
  };
}

type Running = ProjectorDeps & {
  readonly settings: ProjectorSettings;
  readonly pool: DatabasePool;
  readonly redis: Redis;
  readonly lanes: Map<string, { state: LaneState; readAt: number }>;
  readonly opened: OpenOwn;
};

/** Every lane by itself, new ones as they appear. A lane whose history diverged stops alone; a broken history stops all. */
async function followAll(deps: Running, signal: AbortSignal, ours: AbortController): Promise<void> {
  const days = createDays(deps.pool, deps.announce);
  const { pool, namespace } = deps;
  const announce = (notice: ProjectorNotice) => deps.announce(notice);
  const { keepArchiveMs: keepMs, keepArchiveBytes: keepBytes } = deps.settings;
  const retention = createRetention({ pool, namespace, keepMs, keepBytes, announce });
  const running = new Map<string, Promise<void>>();
  let violation: HistoryViolation | undefined;
  const start = async (queue: string) => {
    try {
      await Promise.all([
        followOne(deps, queue, { signal, prepare: days.prepare }),
        keepOwn({ ...deps, queue }, deps.opened, signal),
      ]);
    } catch (error) {
      deps.announce({ kind: "problem", what: `queue "${queue}" is no longer projected`, error, facts: { queue } });
      if (!(error instanceof HistoryViolation)) return;
      violation ??= error;
      ours.abort(error);
    }
  };
  while (!signal.aborted) {
    await days.prepareAhead(Date.now());
    await retention.dropOld(Date.now());
    for (const queue of await findQueues(deps)) {
      if (!running.has(queue)) running.set(queue, start(queue));
    }
    await pause(deps.settings.discoverEveryMs, signal);
  }
  await Promise.all(running.values());
  if (violation !== undefined) throw violation;
}

type Follow = { readonly signal: AbortSignal; readonly prepare: (fromMs: number, untilMs: number) => Promise<void> };

async function followOne(deps: Running, queue: string, { signal, prepare }: Follow): Promise<void> {
  const lane = { state: "starting" as LaneState, readAt: performance.now() };
  deps.lanes.set(queue, lane);
  const blocking = await deps.connect("follow");
  try {
    await projectLane(
      {
        namespace: deps.namespace,
        queue,
        projections: deps.projections ?? shipped,
        pool: deps.pool,
        redis: deps.redis,
        blocking,
        settings: deps.settings,
        announce: (notice) => deps.announce(notice),
        tell(state) {
          lane.state = state;
          if (state === "following" || state === "standby") lane.readAt = performance.now();
        },
        prepareDays: prepare,
      },
      signal,
    );
  } finally {
    blocking.disconnect(false);
  }
}

async function findQueues(deps: Running): Promise<readonly string[]> {
  const declared = deps.queues();
  try {
    const written = await answered(deps.redis, listQueues(deps.redis, deps.namespace));
    return [...new Set([...declared, ...written])];
  } catch {
    return declared; // Redis is away: the lanes say so themselves
  }
}
