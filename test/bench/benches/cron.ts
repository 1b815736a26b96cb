import { setTimeout as delay } from "node:timers/promises";
import { createBroker } from "../../../src/broker.ts";
import { cron } from "../../../src/define/cron.ts";
import { engineOf } from "../../../src/engine.ts";
import { assemble } from "../../../src/schedule/assemble.ts";
import { keepTime } from "../../../src/schedule/keep-time.ts";
import { openScheduler } from "../../../src/schedule/open.ts";
import { createWorker } from "../../../src/worker.ts";
import { openRedis, ready } from "../../../streams/connect.ts";
import { laneKeys } from "../../../streams/keys.ts";
import { openLane } from "../../../streams/lane.ts";
import { decodeEntry, readEntries } from "../../../streams/ledger.ts";
import type { Bench, Figures, Setting, StartStep, StepDesk, StepInProcess } from "../bench.ts";
import { type Leaps, leapingClock } from "../leaping-clock.ts";

const NAMESPACE = "bench";
const QUEUE = "default";
const HOUR_MS = 3_600_000;
const quiet = { debug() {}, info() {}, warn() {}, error: console.error, child: () => quiet };

interface Load {
  readonly crons: number;
  /** Slots of each cron that are measured. */
  readonly slots: number;
  /** From one slot to the next. Long enough for all of them to be fired. */
  readonly periodMs: number;
  readonly isBusy?: boolean;
}

/**
 * How late slots fire: from the slot's instant to when Redis has its run, by Redis' clock. Each scheduler is a process. Minutes are not
 * waited for: between two slots the schedulers' clock leaps.
 */
function cronBench(name: string, what: string, load: Load): Bench {
  return {
    name,
    what,
    contenders: ["1 scheduler", "3 schedulers"],
    figures: ["p50", "p99", "most"].map((figure) => ({ name: figure, unit: "ms late", better: "lower" as const })),
    isExtra: true,
    steps: { schedule, keepBusy },
    play: (setting, start) => play({ setting, start, load }),
  };
}

/** A thousand due at once, and one: with nothing else to do, and beside a worker that does all it can. */
export const cronBenches: readonly Bench[] = [
  cronBench("cron-idle", "how late the slots of a cron fire, on an idle Redis", { crons: 1, slots: 50, periodMs: 400 }),
  cronBench("cron-busy", "how late the slots of a cron fire, beside a worker that does no-op runs as fast as it can", {
    crons: 1,
    slots: 50,
    periodMs: 400,
    isBusy: true,
  }),
  cronBench("cron-1000", "how late slots fire when a thousand crons are due in the same minute", {
    crons: 1_000,
    slots: 5,
    periodMs: 2_000,
  }),
];

interface Order {
  readonly setting: Setting;
  readonly start: StartStep;
  readonly load: Load;
}

async function play({ setting, start, load }: Order): Promise<Figures> {
  const { crons, periodMs } = load;
  const epochMs = Date.now();
  const leaps: Leaps = { epochMs, periodMs, firstMs: Math.floor(epochMs / HOUR_MS) * HOUR_MS - 100 * HOUR_MS };
  const clock = leapingClock(leaps);
  const all: StepInProcess[] = load.isBusy === true ? [start("keepBusy")] : [];
  try {
    for (let left = Number.parseInt(setting.contender, 10); left > 0; left -= 1)
      all.push(start("schedule", { ...leaps, crons }));
    await Promise.all(all.map(({ ready: isReady }) => isReady));
    // The first slot is one that all of them have had the time to fall asleep before.
    const first = Math.ceil(clock.now() / 60_000) * 60_000 + 60_000;
    const slots = Array.from({ length: Math.ceil(load.slots * setting.scale) }, (_, index) => first + index * 60_000);
    const last = slots.at(-1) as number;
    await delay(clock.trueTimeOf(last) + periodMs - Date.now());
    const late = await lateness(setting.redis, slots, clock.trueTimeOf);
    if (late.length !== slots.length * crons)
      throw new Error(`${late.length} of ${slots.length * crons} slots fired in time`);
    const at = (share: number) => late[Math.floor((late.length - 1) * share)] as number;
    return { p50: at(0.5), p99: at(0.99), most: at(1) };
  } finally {
    await Promise.allSettled(all.map((one) => one.stop()));
  }
}

/** How late each slot was, sorted, in ms. */
async function lateness(
  url: string,
  slots: readonly number[],
  trueTimeOf: (slot: number) => number,
): Promise<number[]> {
  const redis = await openRedis(url, "tool");
  await ready(redis, 5_000);
  const keys = laneKeys(NAMESPACE, QUEUE);
  const late: number[] = [];
  for (let from = "-"; ; ) {
    const entries = await readEntries(redis, keys, { from, count: 1_000 });
    for (const entry of entries)
      for (const event of decodeEntry(entry, { queue: QUEUE, incarnation: "x" }))
        if (event.type === "slot.fired" && slots.includes(event.slot as number))
          late.push(Number.parseInt(entry.id, 10) - trueTimeOf(event.slot as number));
    const end = entries.at(-1)?.id;
    if (end === undefined) break;
    from = `(${end}`;
  }
  redis.disconnect();
  return late.sort((a, b) => a - b);
}

async function schedule({ setting, part, signal, ready: isReady }: StepDesk): Promise<undefined> {
  const leaps = leapingClock(part as unknown as Leaps);
  const broker = createBroker({ redis: setting.redis, namespace: NAMESPACE, logger: quiet });
  for (let index = 0; index < Number(part.crons); index += 1)
    cron(broker, "* * * * *", { name: `cron_${index}`, async run() {} });
  const engine = engineOf(broker);
  await using opened = await openScheduler(engine, undefined);
  const clock = { now: leaps.now, offsetMs: () => 0, learn() {} };
  const lanes = new Map(Array.from(opened.lanes, ([queue, lane]) => [queue, openLane({ ...lane, clock })]));
  const { deps, current } = assemble({ engine, opened: { ...opened, clock, lanes } });
  const loops = Promise.all([current.keep(signal), keepTime(deps, signal), ringAtLeaps(leaps, deps.bell, signal)]);
  while (!current.isKnown()) await delay(20);
  isReady();
  await loops;
  await broker.close();
}

/** Whoever sleeps until the next slot sleeps too long once the clock has leapt. */
async function ringAtLeaps(
  { untilLeapMs }: ReturnType<typeof leapingClock>,
  bell: { ring(): void },
  signal: AbortSignal,
) {
  while (!signal.aborted) {
    await delay(untilLeapMs() + 1);
    bell.ring();
  }
}

async function keepBusy({ setting, signal, ready: isReady }: StepDesk): Promise<undefined> {
  const broker = createBroker({ redis: setting.redis, namespace: "load", logger: quiet });
  const noop = broker.task({ name: "noop", run() {} });
  const worker = createWorker(broker, { concurrency: 100 });
  void worker.run();
  for (let round = 0; !signal.aborted; round += 1) {
    await noop.kiqMany(Array.from({ length: 500 }, () => undefined));
    if (round === 5) isReady();
  }
  await worker.stop();
  await broker.close();
}
