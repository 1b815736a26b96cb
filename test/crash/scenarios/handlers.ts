import { type Scenario, type Stage, UNTOUCHED } from "../scenario.ts";

/** One poison among many: it dies after exactly `maxDeliveries`, and nobody else does. */
export const poison: Scenario = {
  name: "poison",
  what: "one run of many, at concurrency 50, kills its process each time: it dies after maxDeliveries, and none of its neighbours does",
  sizes: { ladder: 500, small: 200 },
  allowedDuplicates: () => 3 * 2 * 50, // three processes
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

function replaceTheDead(stage: Stage, options: object): AbortController {
  const done = new AbortController();
  const watch = (actor: (typeof stage.cast.all)[number]) =>
    void actor.ended.then(() => {
      if (done.signal.aborted) return;
      watch(stage.cast.start("worker", { CRASH_WORKER: JSON.stringify(options) }));
    });
  for (const actor of stage.cast.all.slice(0, 2)) watch(actor);
  return done;
}

const THROWN = ["null", "string", "getter", "huge", "unstorable"];

/** Handlers throw what nobody should throw. */
export const strangeThrows: Scenario = {
  name: "strange-throws",
  what: "handlers throw null, strings, errors whose getters throw, messages of 10 MB and text that Postgres refuses: each is recorded, projected, and the worker lives",
  sizes: { ladder: 200, small: 40 },
  lease: UNTOUCHED,
  allowedDuplicates: () => 0,
  expectedDead: (size) => THROWN.length * Math.floor(size / THROWN.length),
  hasPostgres: true,
  async play(stage) {
    const [worker] = await stage.workers(1);
    await stage.projector();
    const each = Math.floor(stage.size / THROWN.length);
    for (const kind of THROWN) await stage.produce(each, { kind });
    await stage.endings(each * THROWN.length);
    if (!worker?.isAlive()) stage.note("the worker did not survive");
  },
};

/** Handlers that never come back, and such as do not hear that they should. */
export const deafHandlers: Scenario = {
  name: "deaf-handlers",
  what: "a third of the handlers never resolves, another ignores its signal: each fails at its deadline and gives its slot away, and the others run",
  sizes: { ladder: 150, small: 60 },
  lease: UNTOUCHED,
  allowedDuplicates: () => 0,
  expectedDead: (size) => 2 * Math.floor(size / 3),
  async play(stage) {
    await stage.workers(1, { concurrency: 10 });
    const each = Math.floor(stage.size / 3);
    await stage.produce(each, { kind: "never", timeoutMs: 100 });
    await stage.produce(each, { kind: "deaf", ms: 2_000, timeoutMs: 100 });
    await stage.produce(each, { ms: 5 });
    await stage.endings(3 * each);
  },
};
