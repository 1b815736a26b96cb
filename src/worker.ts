import { setMaxListeners } from "node:events";
import { hostname } from "node:os";
import type { Redis } from "ioredis";
import { createRedisClock, ensureLane, newIncarnation, openLane } from "../streams/lane.ts";
import { type Beat, release } from "../streams/leases.ts";
import { redisSource, type WorkerSettings, workerSettings } from "./config.ts";
import type { Broker } from "./define/broker.ts";
import { createRegistry } from "./define/registry.ts";
import type { Role, WorkerOptions } from "./define/role.ts";
import { type Connections, openConnections } from "./deliver/connections.ts";
import { consume } from "./deliver/consume.ts";
import { drain } from "./deliver/drain.ts";
import { createLease, type Lease } from "./deliver/lease.ts";
import { checkEviction, connected } from "./deliver/preflight.ts";
import { promote } from "./deliver/promote.ts";
import { type Reader, wakeReader } from "./deliver/reader.ts";
import { reclaim } from "./deliver/reclaim.ts";
import { createTaking, type Taking } from "./deliver/taking.ts";
import { openWorkLane, type WorkLane } from "./deliver/work-lane.ts";
import { BROKER_LEAF } from "./di/leaves.ts";
import { override } from "./di/provider.ts";
import { openWorkerScope, type WorkerScope } from "./di/worker-scope.ts";
import { type Engine, engineOf } from "./engine.ts";
import { noTasks } from "./errors.ts";
import { createExecution, type Execution } from "./execute/execution.ts";
import { longestTimeout } from "./stock/timeouts.ts";
import { getWorkerInfo } from "./stock/worker-info.ts";

/** What waits longer than this behind busy slots goes to workers that are free, in ms. */
const HAND_BACK_MS = 1_000;

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
  const queues = settings.queues ?? engine.queues();
  const worker = newIncarnation();
  const info = { worker, concurrency: settings.concurrency, maxTimeoutMs: longestTimeout(engine) };
  const scope = openWorkerScope({
    leaves: { [BROKER_LEAF]: engine.broker },
    overrides: [override(getWorkerInfo, info), ...settings.overrides],
    report: (what, error) => engine.announce({ kind: "problem", what, error }),
  });
  for (const record of runnable) scope.plan(record.deps);
  return asRole(engine, (signal, state) => work({ engine, settings, queues, scope, state, consumer: worker }, signal));
}

/** What a worker tells of itself. */
interface State {
  isReady: boolean;
  isLive: boolean;
  lastReadAt: number;
  workLanes: readonly WorkLane[];
}

function asRole(engine: Engine, run: (signal: AbortSignal, state: State) => Promise<void>): Role {
  const { clock } = engine;
  const state: State = { isReady: false, isLive: true, lastReadAt: clock.elapsed(), workLanes: [] };
  const stopping = new AbortController();
  setMaxListeners(0, stopping.signal);
  let running: Promise<void> | undefined;
  const stop = async () => {
    stopping.abort();
    await running?.catch(() => {}); // whoever called run() hears of it
  };
  return {
    run(signal) {
      running ??= run(stopping.signal, state).finally(() => {
        state.isLive = false;
        state.isReady = false;
      });
      const abort = () => stopping.abort();
      if (signal?.aborted === true) abort();
      signal?.addEventListener("abort", abort, { once: true });
      return running.finally(() => signal?.removeEventListener("abort", abort));
    },
    stop,
    health: () => ({
      isLive: state.isLive,
      isReady: state.isReady && !stopping.signal.aborted && state.workLanes.every((one) => !one.isLeaseLost),
      lastReadAgeMs: Math.max(0, Math.round(clock.elapsed() - state.lastReadAt)),
    }),
    [Symbol.asyncDispose]: stop,
  };
}

interface WorkParts {
  readonly engine: Engine;
  readonly settings: WorkerSettings;
  readonly queues: readonly string[];
  readonly scope: WorkerScope;
  readonly state: State;
  readonly consumer: string;
}

/** A worker's whole life. */
async function work(parts: WorkParts, signal: AbortSignal): Promise<void> {
  const { engine, settings, queues, scope, consumer } = parts;
  const connections = await openConnections(engine, queues.length);
  const told = { worker: consumer, queues, concurrency: settings.concurrency };
  try {
    const workLanes = await openLanes(parts, connections.command, { consumer, signal });
    if (signal.aborted) return;
    const shift = await beginShift(parts, { connections, consumer, workLanes });
    engine.announce({ kind: "worker.ready", ...told });
    await runLoops(parts, shift, signal).finally(async () => {
      engine.announce({ kind: "worker.draining", ...told });
      parts.state.isReady = false;
      await drain({ ...shift, graceMs: settings.shutdownGraceMs, elapsed: engine.clock.elapsed });
    });
  } finally {
    await scope.close().catch((error: unknown) => {
      engine.announce({ kind: "problem", what: "what the worker had opened did not close well", error });
    });
    connections.close();
    engine.announce({ kind: "worker.stopped", ...told });
  }
}

async function openLanes(
  { engine, queues, state }: WorkParts,
  redis: Redis,
  { consumer, signal }: { readonly consumer: string; readonly signal: AbortSignal },
): Promise<readonly WorkLane[]> {
  await connected(redis, signal);
  if (signal.aborted) return [];
  await checkEviction(redis);
  const { namespace } = engine;
  const clock = createRedisClock();
  for (const queue of queues) await ensureLane(redis, namespace, queue);
  const open = (queue: string) => openLane({ redis, namespace, queue, incarnation: consumer, clock });
  state.workLanes = queues.map((queue) => openWorkLane(open(queue), consumer));
  return state.workLanes;
}

/** What works together until the worker stops. */
interface Shift {
  readonly workLanes: readonly WorkLane[];
  readonly connections: Connections;
  readonly execution: Execution;
  readonly taking: Taking;
  readonly lease: Lease;
  readonly giveUp: AbortController;
  accept(workLane: WorkLane, deliveries: Parameters<Execution["accept"]>[1]): void;
}

async function beginShift(
  { engine, settings, scope, state }: WorkParts,
  opened: { readonly connections: Connections; readonly consumer: string; readonly workLanes: readonly WorkLane[] },
): Promise<Shift> {
  const { connections, workLanes } = opened;
  const { command } = connections;
  const { announce, clock } = engine;
  const giveUp = new AbortController();
  setMaxListeners(0, giveUp.signal);
  const onDeadline = (at: number) => lease.expect(at);
  const execution = createExecution({
    engine,
    settings,
    workLanes,
    scope,
    redis: command,
    onDeadline,
    giveUp: giveUp.signal,
  });
  const accept: Shift["accept"] = (workLane, deliveries) => execution.accept(workLane, deliveries);
  const { capacity, lose } = execution;
  const { leaseMs, maxBlockMs } = settings;
  const taking = createTaking({ capacity, leaseMs, accept, lose, announce });
  const compareSoon = (workLane: WorkLane) => {
    workLane.mustCompare = true;
    void wakeReader(workLane, connections.readers[workLanes.indexOf(workLane)] as Reader, command)
      .then(() => taking.compare(workLane))
      .catch(() => {}); // it is still due, and the loop that reads does it before it reads
  };
  const source = redisSource(engine.options, process.env);
  const beats = createBeatReader(compareSoon);
  const lease = createLease({
    workLanes,
    redis: command,
    url: typeof source === "string" ? source : undefined,
    leaseMs,
    maxBlockMs,
    elapsed: clock.elapsed,
    latestDeadline: execution.latestDeadline,
    onBeat(workLane, beat) {
      state.lastReadAt = clock.elapsed();
      beats(workLane, beat);
    },
    onSilence(workLane) {
      const runs = Array.from(workLane.holds.values(), (held) => held.delivery.entry.run);
      announce({ kind: "lease.lost", worker: workLane.consumer, queue: workLane.queue, runs });
      for (const held of [...workLane.holds.values()]) lose(held);
    },
    onTick: () => handBack(execution, giveUp.signal, announce),
    announce,
  });
  await lease.begin();
  for (const workLane of workLanes) noteStart(workLane, execution, settings);
  command.on("ready", () => workLanes.forEach(compareSoon));
  state.isReady = true;
  return { workLanes, connections, execution, taking, lease, giveUp, accept };
}

/** What was read ahead, and then met slots that did not come free, goes to workers that are free. */
function handBack(execution: Execution, signal: AbortSignal, announce: Engine["announce"]): void {
  for (const [workLane, holds] of Map.groupBy(execution.handBack(HAND_BACK_MS), (held) => held.workLane)) {
    const deliveries = holds.map((held) => held.delivery);
    release(workLane.lane, workLane.consumer, deliveries, { signal }).catch((error: unknown) => {
      announce({
        kind: "problem",
        what: "entries that wait here could not be handed back; they are taken up again",
        error,
      });
    });
  }
}

function noteStart(workLane: WorkLane, execution: Execution, { concurrency }: WorkerSettings): void {
  const { consumer } = workLane;
  const at = Math.trunc(workLane.lane.clock.now());
  execution
    .settlerOf(workLane)
    .note({ type: "worker.started", at, worker: consumer, host: hostname(), pid: process.pid, concurrency });
}

/** Makes of each beat what it means: whether what Redis has delivered and what is known here may differ. */
function createBeatReader(compareSoon: (workLane: WorkLane) => void): (workLane: WorkLane, beat: Beat) => void {
  const seen = new Map<WorkLane, { differences: number }>();
  return (workLane, beat) => {
    const isFirst = !seen.has(workLane);
    const before = seen.get(workLane) ?? { differences: 0 };
    seen.set(workLane, before);
    workLane.cancelRequests = beat.cancelRequests;
    workLane.isPaused = beat.isPaused;
    const wasLost = workLane.isLeaseLost;
    workLane.isLeaseLost = false;
    // One beat may see what is on its way; two running see what is stranded.
    before.differences = beat.held === workLane.holds.size ? 0 : before.differences + 1;
    if (wasLost || (!beat.wasAlive && !isFirst) || before.differences >= 2) {
      before.differences = 0;
      compareSoon(workLane);
    }
  };
}

/** All loops of all lanes, until the signal is aborted or one of them fails. */
async function runLoops({ engine, state, settings }: WorkParts, shift: Shift, signal: AbortSignal): Promise<void> {
  const { workLanes, connections, execution, taking } = shift;
  const { command, readers } = connections;
  const { announce, clock } = engine;
  const { capacity, cancelWaiting } = execution;
  const failing = new AbortController();
  setMaxListeners(0, failing.signal);
  const until = AbortSignal.any([signal, failing.signal]);
  setMaxListeners(0, until);
  until.addEventListener("abort", () => execution.stopStarting(), { once: true });
  const loops = workLanes.flatMap((workLane, index) => {
    const reader = readers[index] as Reader;
    const accept = (deliveries: Parameters<Execution["accept"]>[1]) => shift.accept(workLane, deliveries);
    const onRead = () => {
      state.lastReadAt = clock.elapsed();
    };
    const random = Math.random;
    const { leaseMs } = settings;
    return [
      consume(
        { workLane, reader, isOneOfMany: workLanes.length > 1, capacity, taking, accept, announce, onRead },
        until,
      ),
      promote({ workLane, random, cancelWaiting, announce }, until),
      reclaim({ workLane, taking, leaseMs, random, elapsed: clock.elapsed, announce }, until),
      whenAborted(until).then(() => wakeReader(workLane, reader, command)),
    ];
  });
  const guarded = loops.map((loop) =>
    loop.catch((error: unknown) => {
      failing.abort();
      throw error;
    }),
  );
  const results = await Promise.allSettled(guarded);
  const failed = results.find((one) => one.status === "rejected");
  if (failed !== undefined) throw failed.reason;
}

function whenAborted(signal: AbortSignal): Promise<void> {
  return signal.aborted
    ? Promise.resolve()
    : new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}
