import type { Redis } from "ioredis";
import type { LaneReading } from "../../otel/gauges.ts";
import type { Engine } from "../engine.ts";
import { type LaneState, readLane } from "./lane-state.ts";

/** Reads how an application's queues stand, for metrics. */
export interface LaneReader {
  read(): Promise<readonly LaneReading[]>;
  close(): void;
}

/** On a connection of its own, which the first reading opens. */
export function laneReader(engine: Pick<Engine, "connect" | "namespace" | "queues">): LaneReader {
  let redis: Promise<Redis> | undefined;
  let isClosed = false;
  return {
    async read() {
      if (isClosed) return [];
      redis ??= engine.connect("tool");
      const opened = await redis;
      if (opened.status === "wait") await opened.connect();
      if (opened.status !== "ready") return []; // it is away: nothing is known, which is not the same as nothing waiting
      return Promise.all(
        engine.queues().map(async (queue) => toReading(await readLane(opened, engine.namespace, queue))),
      );
    },
    close() {
      isClosed = true;
      void redis?.then((opened) => opened.disconnect());
    },
  };
}

function toReading(lane: LaneState): LaneReading {
  const { queue, waiting, running, scheduled, dead, workers, oldestWaitingAt, nowMs } = lane;
  const leases = workers.map(({ leaseLeftMs }) => leaseLeftMs).filter((left) => left !== undefined);
  return {
    queue,
    backlog: waiting,
    pending: running,
    scheduled,
    dead,
    workers: leases.length,
    oldestWaitMs: oldestWaitingAt === undefined ? 0 : Math.max(0, nowMs - oldestWaitingAt),
    leaseLeftMs: leases.length === 0 ? undefined : Math.min(...leases),
  };
}
