import type { Scenario } from "../scenario.ts";

/** One poison among many: it dies after exactly `maxDeliveries`, and nobody else does. */
export const poison: Scenario = {
  name: "poison",
  what: "one run of many kills its process each time: it dies after maxDeliveries, and none of its neighbours does",
  sizes: { ladder: 500, small: 200 },
  allowedDuplicates: () => 3 * 300,
  expectedDead: () => 1,
  async play(stage) {
    const options = { concurrency: 50, maxDeliveries: 3 };
    await stage.workers(2, options);
    await stage.produce(stage.size - 1, { ms: 20 });
    await stage.produce(1, { kind: "poison" });
    const supply = replaceTheDead(stage, options);
    await stage.endings(stage.size);
    supply.abort();
  },
};

function replaceTheDead(stage: Parameters<Scenario["play"]>[0], options: object): AbortController {
  const done = new AbortController();
  const watch = (actor: (typeof stage.cast.all)[number]) =>
    void actor.ended.then(() => {
      if (done.signal.aborted) return;
      watch(stage.cast.start("worker", { CRASH_WORKER: JSON.stringify(options) }));
    });
  for (const actor of stage.cast.all.slice(0, 2)) watch(actor);
  return done;
}

/** Handlers throw what nobody should throw. */
export const strangeThrows: Scenario = {
  name: "strange-throws",
  what: "handlers throw null, strings, errors whose getters throw, and messages of 10 MB: each is recorded, and the worker lives",
  sizes: { ladder: 200, small: 40 },
  allowedDuplicates: () => 0,
  expectedDead: (size) => 4 * Math.floor(size / 4),
  async play(stage) {
    await stage.workers(1);
    const each = Math.floor(stage.size / 4);
    for (const kind of ["null", "string", "getter", "huge"]) await stage.produce(each, { kind });
    await stage.endings(each * 4);
    if (!stage.cast.all[0]?.isAlive()) stage.note("the worker did not survive");
  },
};
