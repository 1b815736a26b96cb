import type { Redis } from "ioredis";
import { laneKeys } from "../streams/keys.ts";
import { createRedisClock, ensureLane, newIncarnation, openLane } from "../streams/lane.ts";
import { type WorkerSettings, workerSettings } from "./config.ts";
import type { Broker } from "./define/broker.ts";
import { createRegistry } from "./define/registry.ts";
import type { Health, Role, WorkerOptions } from "./define/role.ts";
import { openConnections } from "./deliver/connections.ts";
import { drain } from "./deliver/drain.ts";
import { runLoops } from "./deliver/loops.ts";
import { checkEviction, connected, persist } from "./deliver/preflight.ts";
import { checkRights } from "./deliver/rights.ts";
import { createShift } from "./deliver/shift.ts";
import { openWorkLane, type WorkLane } from "./deliver/work-lane.ts";
import { BROKER_LEAF } from "./di/leaves.ts";
import { override } from "./di/provider.ts";
import { openWorkerScope, type WorkerScope } from "./di/worker-scope.ts";
import { type Engine, engineOf } from "./engine.ts";
import { noTasks } from "./errors.ts";
import { makeRole } from "./roles.ts";
import { longestTimeout } from "./stock/timeouts.ts";
import { getWorkerInfo } from "./stock/worker-info.ts";

/**
 * Runs the broker's tasks. Throws DuplicateTask when one name was declared twice (with both places), NoTasks when there is none,
 * ProviderMisused for dependencies that cannot be resolved, InvalidOption.
 */
export function createWorker(broker: Broker, options: WorkerOptions = {}): Role {
  const engine = engineOf(broker);
  const settings = workerSettings(options, process.env);
  const runnable = engine.records.filter((record) => record.run !== undefined);
  if (runnable.length === 0) throw noTasks();
  const registry = createRegistry();
  for (const record of engine.records) registry.add(record);
  registry.assertUnique();
  const consumer = newIncarnation();
  const scope = openScope(engine, settings, consumer);
  for (const record of runnable) scope.plan(record.deps);
  const queues = settings.queues ?? engine.queues();
  const state: State = { isReady: false, isLive: true, answeredAt: engine.clock.elapsed(), workLanes: [] };
  return makeRole({
    run: (signal) =>
      work({ engine, settings, queues, scope, consumer, state }, signal).finally(() => {
        state.isLive = false;
      }),
    health: (isStopping) => healthOf(state, { elapsed: engine.clock.elapsed(), isStopping }),
  });
}

function openScope(engine: Engine, settings: WorkerSettings, worker: string): WorkerScope {
  const info = { worker, concurrency: settings.concurrency, maxTimeoutMs: longestTimeout(engine) };
  return openWorkerScope({
    leaves: { [BROKER_LEAF]: engine.broker },
    overrides: [override(getWorkerInfo, info), ...settings.overrides],
    report: (what, error) => engine.announce({ kind: "problem", what, error }),
  });
}

/** What a worker tells of itself. */
interface State {
  isReady: boolean;
  isLive: boolean;
  answeredAt: number;
  workLanes: readonly WorkLane[];
  connections?: readonly Redis[];
}

function healthOf(state: State, { elapsed, isStopping }: { elapsed: number; isStopping: boolean }): Health {
  const { isLive, isReady, answeredAt, workLanes, connections = [] } = state;
  return {
    isLive,
    isReady: isReady && !isStopping && connections.every(isOpen) && workLanes.every(({ isLeaseLost }) => !isLeaseLost),
    lastReadAgeMs: Math.max(0, Math.round(elapsed - answeredAt)),
  };
}

interface WorkParts {
  readonly engine: Engine;
  readonly settings: WorkerSettings;
  readonly queues: readonly string[];
  readonly scope: WorkerScope;
  readonly consumer: string;
  readonly state: State;
}

/** A worker's whole life. */
async function work(parts: WorkParts, signal: AbortSignal): Promise<void> {
  const { engine, settings, queues, scope, consumer, state } = parts;
  const { announce, clock } = engine;
  const told = { worker: consumer, queues, concurrency: settings.concurrency };
  const connections = await openConnections(engine, { laneCount: queues.length, lockUrls: settings.locks });
  state.connections = [connections.command, ...connections.readers.map(({ redis }) => redis)];
  const onAnswer = () => {
    state.answeredAt = clock.elapsed();
  };
  try {
    await connected(connections.command, signal);
    if (signal.aborted) return;
    const { command } = connections;
    const workLanes = await persist(() => openLanes(parts, command), command, signal);
    if (workLanes === undefined) return;
    const shift = createShift({ engine, settings, scope, connections, workLanes, onAnswer });
    if ((await persist(() => shift.begin(), command, signal)) === undefined) return;
    state.isReady = true;
    announce({ kind: "worker.ready", ...told });
    try {
      const { leaseMs, keepLedgerBytes } = settings;
      await runLoops({ engine, leaseMs, keepLedgerBytes, shift, onAnswer }, signal);
    } finally {
      state.isReady = false;
      announce({ kind: "worker.draining", ...told });
      await drain({ ...shift, graceMs: settings.shutdownGraceMs, elapsed: clock.elapsed });
    }
  } finally {
    await scope.close().catch((error: unknown) => {
      announce({ kind: "problem", what: "what the worker had opened did not close well", error });
    });
    connections.close();
    announce({ kind: "worker.stopped", ...told });
  }
}

function isOpen({ status }: Redis): boolean {
  return status === "ready";
}

async function openLanes({ engine, queues, consumer, state }: WorkParts, redis: Redis): Promise<readonly WorkLane[]> {
  await checkEviction(redis);
  const { namespace } = engine;
  const clock = createRedisClock();
  for (const queue of queues) {
    await checkRights(redis, laneKeys(namespace, queue));
    await ensureLane(redis, namespace, queue);
  }
  const open = (queue: string) => openLane({ redis, namespace, queue, incarnation: consumer, clock });
  state.workLanes = queues.map((queue) => openWorkLane(open(queue), consumer));
  return state.workLanes;
}
