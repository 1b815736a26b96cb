import type { Program } from "../cast.ts";
import { type Scenario, type Stage, UNTOUCHED } from "../scenario.ts";

/** How many processes are walked through their steps at once. */
const AT_ONCE = 3;

/** A worker is killed at each of its steps: before and after everything that it asks of Redis. */
export const workerSteps: Scenario = {
  name: "worker-steps",
  what: "workers are killed with -9 before and after each of the first requests that they send to Redis",
  sizes: { ladder: 320, small: 120 },
  isLong: true,
  // A worker at work holds what runs and what it has read ahead; each of the processes may leave as much behind.
  allowedDuplicates: (size) => size * 2,
  async play(stage) {
    const steps = Math.floor(stage.size / 8);
    const fed = feedUntil(
      stage,
      walk(stage, {
        program: "worker",
        steps,
        env: { CRASH_WORKER: JSON.stringify({ concurrency: 5, lease: "1s", maxDeliveries: 1_000 }) },
      }),
    );
    const count = await fed;
    await stage.workers(2, { lease: "1s", maxDeliveries: 1_000 });
    await stage.endings(count);
  },
};

/** A projector is killed at each of its steps: before and after everything that it asks of Redis and Postgres. */
export const projectorSteps: Scenario = {
  name: "projector-steps",
  what: "projectors are killed with -9 before and after each of the first requests that they send to Redis and Postgres",
  sizes: { ladder: 640, small: 160 },
  lease: UNTOUCHED,
  allowedDuplicates: () => 0,
  hasPostgres: true,
  async play(stage) {
    const steps = Math.floor(stage.size / 16);
    await stage.workers(1);
    const count = await feedUntil(stage, walk(stage, { program: "projector", steps, env: {} }));
    await stage.endings(count);
    await stage.projector();
  },
};

/** Runs that one producer dispatches, over about two seconds. */
const SERVING = 40;

/** Dispatches runs, a few at a time, until something is done, so that each process finds work to be killed at. Gives their number. */
async function feedUntil(stage: Stage, done: Promise<void>): Promise<number> {
  let isDone = false;
  const ended = done.finally(() => {
    isDone = true;
  });
  let count = 0;
  while (!isDone) {
    await stage.produce(SERVING, { inFlight: 2, pauseMs: 100, ms: 2 });
    count += SERVING;
  }
  await ended;
  return count;
}

interface Walk {
  readonly program: "worker" | "projector";
  readonly steps: number;
  readonly env: Readonly<Record<string, string>>;
}

/** Starts a process for each step, a few at a time, and waits until it has killed itself there; one that finds nothing more to ask is killed after a while. */
async function walk(stage: Stage, { program, steps, env }: Walk): Promise<void> {
  const next = pointsOf(steps).values();
  const walkOne = async () => {
    for (const point of next) await killedAt(stage, point, { program, env });
  };
  await Promise.all(Array.from({ length: AT_ONCE }, walkOne));
}

/** Before and after each of the first so many requests, as `kill-at.ts` names them. */
export function pointsOf(steps: number): string[] {
  return Array.from({ length: steps }, (_, index) => [`before:${index + 1}`, `after:${index + 1}`]).flat();
}

/** Starts a process, and waits until it has killed itself at a point; one that never comes there is killed after a while. */
export async function killedAt(
  { cast }: Stage,
  point: string,
  { program, env = {} }: { readonly program: Program; readonly env?: Readonly<Record<string, string>> },
): Promise<void> {
  const actor = cast.start(program, { ...env, CRASH_KILL_AT: point });
  const timer = setTimeout(() => void actor.kill(), 6_000);
  await actor.ended;
  clearTimeout(timer);
}
