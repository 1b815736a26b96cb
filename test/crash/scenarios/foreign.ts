import { laneKeys } from "../../../streams/keys.ts";
import { isLedgerEvent } from "../../../streams/ledger.ts";
import { foreignEntry } from "../fuzz.ts";
import { readJournal } from "../journal.ts";
import { readLedger } from "../oracle.ts";
import { type Scenario, type Stage, UNTOUCHED } from "../scenario.ts";

const CONCURRENCY = 50;

/** Runs of ours that are to go through among the strangers. */
const OURS = 200;

/** Others write into the task stream. */
export const foreignEntries: Scenario = {
  name: "foreign-entries",
  what: "entries that nobody of us wrote, and ours with bytes, fields and numbers changed, lie among runs of ours, and a worker that holds some is killed: each ends once, the rows follow, and ours go through",
  sizes: { ladder: 100_000, small: 1_000 },
  isAlone: true,
  allowedDuplicates: () => 2 * CONCURRENCY, // one a slot, and as many whose outcome was on its way
  expectedDead: () => undefined, // some are whole by chance
  hasPostgres: true,
  hasForeign: true,
  async play(stage) {
    await stage.projector();
    const [first] = await stage.workers(2, { concurrency: CONCURRENCY, unknownTaskGrace: "1s" });
    const ours = stage.produce(OURS, { inFlight: 2, pauseMs: 20 });
    await stage.begun();
    await Promise.all([putAll(stage), first?.kill()]);
    await stage.workers(1, { concurrency: CONCURRENCY, unknownTaskGrace: "1s" });
    await ours;
    await stage.endings(stage.size + OURS, 240_000);
  },
  async check({ redis, namespace, queue, journals }) {
    const ours = new Set((await Array.fromAsync(readJournal(journals.told))).map(([run]) => run));
    let gone = 0;
    for await (const event of readLedger(redis, namespace, queue))
      if (isLedgerEvent(event) && event.type === "run.succeeded" && ours.has(event.run)) gone += 1;
    return gone === OURS ? [] : [`${gone} of our ${OURS} runs succeeded`];
  },
};

/** Writes the entries, and keys that some of them name. */
async function putAll({ redis, random, size, namespace, queue }: Stage): Promise<void> {
  const keys = laneKeys(namespace, queue);
  for (let from = 0; from < size; from += 500) {
    const pipeline = redis.pipeline();
    for (let n = from; n < Math.min(size, from + 500); n += 1) {
      const { fields, run, key } = foreignEntry(random, keys, n);
      pipeline.xadd(keys.tasks, "*", ...fields);
      if (key !== undefined && run !== undefined) pipeline.set(key, run);
    }
    await pipeline.exec();
  }
}

/** What may be said of an input that cannot travel. */
const CODES = ["not_json", "too_large", "invalid_input"];

/** Inputs that do not survive the trip. */
export const misfits: Scenario = {
  name: "misfits",
  what: "inputs that JSON, Redis or Postgres cannot carry are refused where they are dispatched, each by a typed error, and nothing of them is written",
  sizes: { ladder: 100, small: 20 },
  lease: UNTOUCHED,
  allowedDuplicates: () => 0,
  hasPostgres: true,
  async play(stage) {
    const { cast, redis, namespace, queue } = stage;
    const producer = cast.start("misfits", {});
    const outcomes = JSON.parse((await producer.says("done ")).slice("done ".length)) as Record<string, string>;
    await producer.ended;
    const wrong = Object.entries(outcomes).filter(([, code]) => !CODES.includes(code));
    if (wrong.length > 0) stage.note(`these were not refused as they should be: ${JSON.stringify(wrong)}`);
    const written = await redis.xlen(laneKeys(namespace, queue).events);
    if (written > 0) stage.note(`${written} ledger entries were written for inputs that were refused`);
    stage.remark(`${Object.keys(outcomes).length} kinds of input refused`);
    await stage.projector();
    await stage.workers(1);
    await stage.produce(stage.size);
    await stage.endings(stage.size);
  },
};
