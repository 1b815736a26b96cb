// A scheduler in a process of its own, to be killed: `scheduler-process.ts REDIS_URL NAMESPACE START_MS EPOCH_MS SPEED`.
// Its time began at START_MS when this machine's clock showed EPOCH_MS, and has passed SPEED times as fast since.

import { createBell } from "../../../src/bell.ts";
import { createBroker } from "../../../src/broker.ts";
import { cron } from "../../../src/define/cron.ts";
import { engineOf } from "../../../src/engine.ts";
import { assemble } from "../../../src/schedule/assemble.ts";
import { keepTime } from "../../../src/schedule/keep-time.ts";
import { openScheduler } from "../../../src/schedule/open.ts";
import { openLane } from "../../../streams/lane.ts";

const [redis, namespace, ...numbers] = process.argv.slice(2) as [string, string, ...string[]];
const [startMs, epochMs, speed] = numbers.map(Number) as [number, number, number];
const clock = { now: () => startMs + (Date.now() - epochMs) * speed, offsetMs: () => 0, learn() {} };

const broker = createBroker({ redis, namespace });
cron(broker, "* * * * *", { name: "sync", misfire: "fire_all", catchUp: "1d", async run() {} });
const engine = engineOf(broker);
const opened = await openScheduler(engine, undefined);
const lanes = new Map(Array.from(opened.lanes, ([queue, lane]) => [queue, openLane({ ...lane, clock })]));
const makeBell = () => {
  const bell = createBell();
  return { ring: bell.ring, sleep: (ms: number, signal: AbortSignal) => bell.sleep(ms / speed, signal) };
};
const { current, deps } = assemble({ engine, opened: { ...opened, clock, lanes }, makeBell });
const forEver = new AbortController().signal;
await Promise.all([current.keep(forEver), keepTime(deps, forEver)]);
