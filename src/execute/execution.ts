import type { Redis } from "ioredis";
import { ready } from "../../streams/connect.ts";
import type { Delivery } from "../../streams/entry.ts";
import { type Locks, openLocks } from "../../streams/locks.ts";
import type { WorkerSettings } from "../config.ts";
import type { ResolvedPolicies } from "../define/policy.ts";
import { resolvePolicies } from "../define/resolve-policies.ts";
import type { TaskRecord } from "../define/task.ts";
import { type Capacity, createCapacity } from "../deliver/capacity.ts";
import type { WorkLane } from "../deliver/work-lane.ts";
import type { WorkerScope } from "../di/worker-scope.ts";
import type { Engine } from "../engine.ts";
import { createExecutor, type Executor } from "./execute.ts";
import { createLauncher, type Launcher } from "./launch.ts";
import { createOverlap } from "./overlap.ts";
import { createSettler, type Settler } from "./settle.ts";

/** What a worker does with what is delivered. */
export interface Execution extends Pick<Executor, "lose" | "cancelWaiting" | "handBack" | "stopStarting"> {
  readonly capacity: Capacity;
  accept(workLane: WorkLane, deliveries: readonly Delivery[]): void;
  settlerOf(workLane: WorkLane): Settler;
  latestDeadline(): number;
  close(): void;
}

/** What execution rests on. */
export interface ExecutionParts {
  readonly engine: Engine;
  readonly settings: WorkerSettings;
  readonly workLanes: readonly WorkLane[];
  readonly scope: WorkerScope;
  /** Where overlap locks are held. */
  readonly lockServers: readonly Redis[];
  readonly onDeadline: (deadlineAt: number) => void;
  /** Aborted when outcomes that Redis has not taken are given up. */
  readonly giveUp: AbortSignal;
}

/** Puts the pieces together: executor, launcher, a settler for each lane, the overlap lock. */
export function createExecution(parts: ExecutionParts): Execution {
  const { engine, settings, workLanes } = parts;
  const { clock, announce } = engine;
  const random = Math.random;
  const capacity = createCapacity(settings.concurrency, clock.elapsed);
  const settlers = new Map<WorkLane, Settler>();
  const settlerOf = (workLane: WorkLane) => settlers.get(workLane) as Settler;
  const onError = (error: unknown) =>
    announce({ kind: "problem", what: "an overlap lock could not be let go; it ends by itself", error });
  const overlap = createOverlap({ locks: lazyLocks(parts.lockServers), random, onError });
  const launcher: Launcher = createLauncher({
    clock,
    capacity,
    scope: parts.scope,
    settlerOf,
    middleware: () => engine.middleware,
    maxPayloadBytes: engine.maxPayloadBytes,
    random,
    announce,
    onDeadline: parts.onDeadline,
  });
  const executor = createExecutor({
    clock,
    capacity,
    launcher,
    overlap,
    settlerOf,
    task: engine.task,
    policiesOf: policiesByTask(engine),
    maxDeliveries: settings.maxDeliveries,
    unknownTaskGraceMs: settings.unknownTaskGraceMs,
    suspectAloneMs: settings.leaseMs,
    random,
    announce,
  });
  for (const workLane of workLanes) {
    const { giveUp: signal } = parts;
    settlers.set(workLane, createSettler({ workLane, capacity, onFenced: executor.lose, announce, signal }));
  }
  const { accept, lose, cancelWaiting, handBack, stopStarting } = executor;
  const { latestDeadline, close } = launcher;
  return { capacity, accept, lose, cancelWaiting, handBack, stopStarting, settlerOf, latestDeadline, close };
}

/** A broker's defaults are the same for as long as it lives, and so are a task's policies. */
function policiesByTask(engine: Engine): (record: TaskRecord) => ResolvedPolicies {
  const known = new WeakMap<TaskRecord, ResolvedPolicies>();
  return (record) => {
    let policies = known.get(record);
    if (policies === undefined) {
      policies = resolvePolicies(record, engine.options.defaults);
      known.set(record, policies);
    }
    return policies;
  };
}

/** How long lock servers are waited for before a first lock, in ms: a run that finds none waits longer. */
const CONNECTS_WITHIN_MS = 1_000;

/** Most workers run no cron: redlock is loaded by the first that needs it. */
function lazyLocks(servers: readonly Redis[]): () => Promise<Locks> {
  const open = async () => {
    await Promise.all(servers.map((server) => ready(server, CONNECTS_WITHIN_MS))); // one that does not is asked all the same, and told of
    return openLocks(servers);
  };
  let locks: Promise<Locks> | undefined;
  return () => {
    locks ??= open().catch((error: unknown) => {
      locks = undefined;
      throw error;
    });
    return locks;
  };
}
