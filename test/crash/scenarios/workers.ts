import { setTimeout as delay } from "node:timers/promises";
import { type Scenario, type Stage, UNTOUCHED } from "../scenario.ts";

const CONCURRENCY = 20;

/** Handlers that a worker may have begun, and that are not recorded as ended, when it is killed: one a slot, and as many whose outcome is on its way. */
const HELD = CONCURRENCY * 2;

/** Every so often kills a worker with -9 and starts another, until told to stop. Returns when those that were started last are at work. */
async function killAndReplace(
  { cast, random, workers }: Stage,
  { everyMs, signal }: { readonly everyMs: number; readonly signal: AbortSignal },
): Promise<void> {
  const started: Promise<unknown>[] = [];
  for (;;) {
    await delay(everyMs, undefined, { signal }).catch(() => {});
    if (signal.aborted) break;
    const alive = cast.all.filter((actor) => actor.program === "worker" && actor.isAlive());
    await random.pick(alive).kill();
    started.push(workers(1, { concurrency: CONCURRENCY }).catch(() => {})); // it may be the next that is killed
  }
  await Promise.all(started);
}

/** Workers are killed with -9 one after the other while runs are dispatched and worked. */
export const workerKilled: Scenario = {
  name: "worker-kill",
  what: "of eight workers one is killed with -9 every second, and replaced, while runs are dispatched and worked",
  sizes: { ladder: 20_000, small: 2_000 },
  allowedDuplicates: (_size, kills) => kills * HELD,
  async play(stage) {
    await stage.workers(8, { concurrency: CONCURRENCY });
    const done = new AbortController();
    const killing = killAndReplace(stage, { everyMs: 1_000, signal: done.signal });
    await stage.produce(stage.size, { ms: 20, inFlight: 20, pauseMs: PACE_MS });
    await stage.endings(stage.size);
    done.abort();
    await killing;
    stage.remark(`${stage.cast.deaths.size} kills`);
  },
};

/** Twenty runs each 60 ms: 20,000 in a minute. */
const PACE_MS = 60;

/** A worker drains within its grace: nothing is run twice. */
export const sigtermInGrace: Scenario = {
  name: "sigterm-in-grace",
  what: "SIGTERM with work in flight that ends within the grace: nothing is run twice",
  sizes: { ladder: 2_000, small: 300 },
  lease: UNTOUCHED,
  allowedDuplicates: () => 0,
  async play(stage) {
    await stage.workers(2, { concurrency: CONCURRENCY });
    await stage.produce(stage.size, { ms: 100 });
    stage.cast.all[0]?.signal("SIGTERM");
    const code = await stage.cast.all[0]?.ended;
    if (code !== 0) stage.note(`the drained worker ended with ${code}, not 0`);
    await stage.endings(stage.size);
  },
};

/** A worker is stopped past its grace: what it held is handed back, and taken over at once. */
export const sigtermPastGrace: Scenario = {
  name: "sigterm-past-grace",
  what: "SIGTERM with work in flight that outlives the grace: it is handed back and runs elsewhere",
  sizes: { ladder: 400, small: 100 },
  allowedDuplicates: () => CONCURRENCY,
  async play(stage) {
    await stage.workers(1, { concurrency: CONCURRENCY, shutdownGrace: "500ms" });
    await stage.produce(stage.size, { ms: 2_000 });
    await delay(500); // into the middle of the first handlers
    await stage.workers(1, { concurrency: 100 });
    stage.cast.all[0]?.signal("SIGTERM");
    const code = await stage.cast.all[0]?.ended;
    if (code !== 0) stage.note(`the worker ended with ${code}, not 0`);
    await stage.endings(stage.size);
  },
};

/** A second signal ends a worker at once; its lease does the rest. */
export const secondSignal: Scenario = {
  name: "second-signal",
  what: "a second SIGTERM ends the worker at once; others take over when its lease has lapsed",
  sizes: { ladder: 400, small: 100 },
  allowedDuplicates: () => HELD,
  async play(stage) {
    await stage.workers(2, { concurrency: CONCURRENCY });
    await stage.produce(stage.size, { ms: 1_000 });
    stage.cast.all[0]?.signal("SIGTERM");
    await delay(200);
    stage.cast.all[0]?.signal("SIGTERM");
    if ((await stage.cast.all[0]?.ended) !== 130) stage.note("the second signal did not end it with 130");
    await stage.endings(stage.size);
  },
};
