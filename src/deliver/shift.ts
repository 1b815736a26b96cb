import { setMaxListeners } from "node:events";
import { hostname } from "node:os";
import type { Beat } from "../../streams/leases.ts";
import { release } from "../../streams/leases.ts";
import { redisSource, type WorkerSettings } from "../config.ts";
import type { WorkerScope } from "../di/worker-scope.ts";
import type { Engine } from "../engine.ts";
import { createExecution, type Execution } from "../execute/execution.ts";
import type { Connections } from "./connections.ts";
import { createLease, type Lease } from "./lease.ts";
import { type Reader, wakeReader } from "./reader.ts";
import { createTaking, type Taking } from "./taking.ts";
import type { Hold, WorkLane } from "./work-lane.ts";

/** What waits longer than this behind busy slots goes to workers that are free, in ms. */
const HAND_BACK_MS = 1_000;

/** What works together until a worker stops. */
export interface Shift {
  readonly workLanes: readonly WorkLane[];
  readonly connections: Connections;
  readonly execution: Execution;
  readonly taking: Taking;
  readonly lease: Lease;
  /** Gives up outcomes that Redis has not taken. */
  readonly giveUp: AbortController;
  /** Registers the worker with its lanes: from then on others see it. Rejects when Redis does not take the first beat; to be called again then. */
  begin(): Promise<true>;
}

/** What a shift rests on. */
export interface ShiftParts {
  readonly engine: Engine;
  readonly settings: WorkerSettings;
  readonly scope: WorkerScope;
  readonly connections: Connections;
  readonly workLanes: readonly WorkLane[];
  /** Called when Redis has answered. */
  readonly onAnswer: () => void;
}

/** Puts a worker together. */
export function createShift(parts: ShiftParts): Shift {
  const { engine, settings, scope, connections, workLanes } = parts;
  const { announce, clock } = engine;
  const { command, lockServers } = connections;
  const giveUp = new AbortController();
  setMaxListeners(0, giveUp.signal);
  const onDeadline = (at: number) => lease.expect(at);
  const common = { engine, settings, workLanes, scope, lockServers, onDeadline };
  const execution = createExecution({ ...common, giveUp: giveUp.signal });
  const { capacity, accept, lose } = execution;
  const { leaseMs, maxBlockMs } = settings;
  const taking = createTaking({ capacity, leaseMs, accept, lose, announce });
  const compareSoon = createComparer(parts, taking);
  const source = redisSource(engine.options, process.env);
  const readBeat = createBeatReader(compareSoon);
  const lease = createLease({
    workLanes,
    redis: command,
    url: typeof source === "string" ? source : undefined,
    leaseMs,
    maxBlockMs,
    elapsed: clock.elapsed,
    latestDeadline: execution.latestDeadline,
    onBeat(workLane, beat) {
      parts.onAnswer();
      readBeat(workLane, beat);
    },
    onSilence(workLane) {
      const holds = workLane.holds.all().filter((held) => held.phase !== "settling");
      announce({ kind: "lease.lost", worker: workLane.consumer, queue: workLane.queue, runs: holds.map(runOf) });
      for (const held of holds) lose(held);
    },
    onTick: () => handBack(execution, giveUp.signal, announce),
    announce,
  });
  const begin = async () => {
    await lease.begin();
    for (const workLane of workLanes) noteStart(workLane, execution, settings);
    command.on("ready", () => workLanes.forEach(compareSoon)); // the answer to a reclaim may be lost
    return true as const;
  };
  return { workLanes, connections, execution, taking, lease, giveUp, begin };
}

function runOf(held: Hold): string {
  return held.delivery.entry.run;
}

/** Compares a lane as soon as no read is under way. What fails is still due: the loop that reads does it before it reads. */
function createComparer({ connections, workLanes }: ShiftParts, taking: Taking): (workLane: WorkLane) => void {
  const { command, readers } = connections;
  return (workLane) => {
    workLane.mustCompare = true;
    void wakeReader(workLane, readers[workLanes.indexOf(workLane)] as Reader, command)
      .then(() => taking.compare(workLane))
      .catch(() => {});
  };
}

/** Makes of each beat what it means: whether what Redis has delivered and what is known here may differ. */
function createBeatReader(compareSoon: (workLane: WorkLane) => void): (workLane: WorkLane, beat: Beat) => void {
  const differences = new Map<WorkLane, number>();
  return (workLane, beat) => {
    const isFirst = !differences.has(workLane);
    const wasLost = workLane.isLeaseLost;
    workLane.cancelRequests = beat.cancelRequests;
    workLane.isPaused = beat.isPaused;
    workLane.isLeaseLost = false;
    // One beat may see what is on its way; two running see what is stranded.
    const count = beat.held === workLane.holds.size() ? 0 : (differences.get(workLane) ?? 0) + 1;
    const isDue = wasLost || (!beat.wasAlive && !isFirst) || count >= 2;
    differences.set(workLane, isDue ? 0 : count);
    if (isDue) compareSoon(workLane);
  };
}

/** What was read ahead, and then met slots that did not come free, goes to workers that are free. */
function handBack(execution: Execution, signal: AbortSignal, announce: Engine["announce"]): void {
  for (const [{ lane, consumer }, holds] of Map.groupBy(execution.handBack(HAND_BACK_MS), (held) => held.workLane)) {
    const deliveries = holds.map((held) => held.delivery);
    release(lane, consumer, deliveries, { signal }).catch((error: unknown) => {
      const what = "entries that wait here could not be handed back; they are taken up again";
      announce({ kind: "problem", what, error });
    });
  }
}

function noteStart(workLane: WorkLane, execution: Execution, { concurrency }: WorkerSettings): void {
  const { lane, consumer: worker } = workLane;
  const at = Math.trunc(lane.clock.now());
  const event = { type: "worker.started", at, worker, host: hostname(), pid: process.pid, concurrency } as const;
  execution.settlerOf(workLane).note(event);
}
