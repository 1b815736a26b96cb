import { setTimeout as delay } from "node:timers/promises";
import { type Scenario, UNTOUCHED } from "../scenario.ts";

const CONCURRENCY = 50;

/** The projector is killed with -9 again and again, and replaced. */
export const projectorKilled: Scenario = {
  name: "projector-kill",
  what: "the projector is killed with -9 about twice a second, and replaced: the rows equal the ledger's fold",
  sizes: { ladder: 6_000, small: 1_500 },
  lease: UNTOUCHED,
  allowedDuplicates: () => 0,
  hasPostgres: true,
  async play(stage) {
    await stage.workers(1, { concurrency: CONCURRENCY });
    let projector = await stage.projector();
    const done = new AbortController();
    const killing = (async () => {
      while (!done.signal.aborted) {
        await delay(stage.random.between(200, 800));
        await projector.kill();
        projector = await stage.projector();
      }
    })();
    await stage.produce(stage.size, { inFlight: 50, pauseMs: 100, ms: 5 });
    await stage.endings(stage.size);
    done.abort();
    await killing;
  },
};

/** Five projectors at once, two of them frozen and thawed in turn. */
export const projectorsAtOnce: Scenario = {
  name: "projectors-at-once",
  what: "five projectors at once, frozen and thawed in turn: nothing is counted twice",
  sizes: { ladder: 6_000, small: 1_500 },
  lease: UNTOUCHED,
  allowedDuplicates: () => 0,
  hasPostgres: true,
  async play(stage) {
    await stage.workers(1, { concurrency: CONCURRENCY });
    const projectors = await Promise.all(Array.from({ length: 5 }, () => stage.projector()));
    const produced = stage.produce(stage.size, { inFlight: 50, pauseMs: 100, ms: 5 });
    for (const projector of projectors) {
      projector.signal("SIGSTOP");
      await delay(stage.random.between(300, 900));
      projector.signal("SIGCONT");
    }
    await produced;
    await stage.endings(stage.size);
  },
};
