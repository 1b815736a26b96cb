import { Worker } from "node:worker_threads";
import { connectionOptions, reconnectDelayMs } from "../../streams/connect.ts";
import { beatCall } from "../../streams/leases.ts";
import { scriptText } from "../../streams/scripts.ts";
import type { WorkLane } from "./work-lane.ts";

/** The moments that a worker and its beat thread tell each other, in ns of the process' monotonic clock. */
export interface Moments {
  readonly shared: SharedArrayBuffer;
  readonly view: BigInt64Array;
}
/** When the worker's event loop last turned. */
export const LOOP_AT = 0;
/** The latest deadline of what runs; 0 when nothing does. */
export const DEADLINE_AT = 1;
/** From here on, by lane: when its last good beat was sent. */
export const FIRST_BEAT_AT = 2;

/** Moments for so many lanes. */
export function createMoments(laneCount: number): Moments {
  const shared = new SharedArrayBuffer((FIRST_BEAT_AT + laneCount) * 8);
  return { shared, view: new BigInt64Array(shared) };
}

/** What a beat thread is given. */
export interface BeatThreadParts {
  readonly url: string;
  readonly workLanes: readonly WorkLane[];
  readonly leaseMs: number;
  readonly maxBlockMs: number;
  readonly moments: Moments;
  readonly onReply: (workLane: WorkLane, reply: readonly unknown[]) => void;
  /** Hears that the thread has died and why; it is started again. */
  readonly onDeath: (error: unknown) => void;
}

/** A thread that beats. */
export interface BeatThread {
  /** Ends it; no beat is sent afterwards. */
  close(): Promise<void>;
}

/** How long a thread that was asked to stop may take, in ms. */
const STOP_MS = 1_000;
/** From the thread's death to its successor, in multiples of a reconnect's wait. */
const RESPAWN_FACTOR = 20;

/** Starts the thread, and starts it again when it dies: while there is none, the worker itself has to beat. */
export function startBeatThread(parts: BeatThreadParts): BeatThread {
  let thread: Worker | undefined;
  let timer: NodeJS.Timeout | undefined;
  let isClosed = false;
  let deaths = 0;

  const start = () => {
    thread = spawn(parts);
    thread.on("message", ({ lane, reply }: { lane: number; reply: unknown[] }) => {
      deaths = 0;
      const workLane = parts.workLanes[lane];
      if (workLane !== undefined && !isClosed) parts.onReply(workLane, reply);
    });
    let cause: unknown;
    thread.on("error", (error) => {
      cause = error;
    });
    thread.on("exit", (code) => {
      thread = undefined;
      if (isClosed) return;
      deaths += 1;
      if (deaths === 1) parts.onDeath(cause ?? new Error(`it ended with code ${code}`));
      timer = setTimeout(start, reconnectDelayMs(deaths) * RESPAWN_FACTOR);
      timer.unref();
    });
    thread.unref();
  };
  start();

  return {
    async close() {
      isClosed = true;
      clearTimeout(timer);
      const last = thread;
      if (last === undefined) return;
      const ended = new Promise<void>((resolve) => last.once("exit", () => resolve()));
      last.ref();
      last.postMessage("stop");
      const late = setTimeout(() => void last.terminate(), STOP_MS);
      await ended;
      clearTimeout(late);
    },
  };
}

function spawn({ url, workLanes, leaseMs, maxBlockMs, moments }: BeatThreadParts): Worker {
  const { source, sha } = scriptText("beat");
  const { NODE_OPTIONS: _, ...env } = process.env; // loaders and debuggers of the main thread are not for this one
  return new Worker(new URL("./beat-thread.mjs", import.meta.url), {
    name: "tasktrail-beat",
    execArgv: [],
    env,
    workerData: {
      url,
      options: connectionOptions("beat"),
      source,
      sha,
      calls: workLanes.map(({ lane, consumer }) => beatCall(lane.keys, consumer, leaseMs)),
      everyMs: leaseMs / 3,
      answerMs: Math.min(2_000, leaseMs / 3),
      blockedMs: Math.max(500, leaseMs / 3),
      maxBlockMs,
      shared: moments.shared,
    },
  });
}
