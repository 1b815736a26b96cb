// `node test/bench/cron.ts [--slots 40] [--schedulers 3] [--crons 1000] [--rounds 5] [--busy]`: how late slots fire, with one cron, and with a thousand that
// are due in the same minute; with --busy beside a worker in another process that does no-op runs as fast as it can.
// Minutes are not waited for: between two slots the schedulers' clock is put forward to shortly before the next one.
import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { createBroker } from "../../src/broker.ts";
import { cron } from "../../src/define/cron.ts";
import { startRedis } from "../../src/dev/start-redis.ts";
import { engineOf } from "../../src/engine.ts";
import { processMiddleware } from "../../src/middleware.ts";
import { assemble } from "../../src/schedule/assemble.ts";
import { keepTime } from "../../src/schedule/keep-time.ts";
import { openScheduler } from "../../src/schedule/open.ts";
import { createWorker } from "../../src/worker.ts";
import { openLane } from "../../streams/lane.ts";

const { values } = parseArgs({
  options: {
    slots: { type: "string", default: "40" },
    schedulers: { type: "string", default: "3" },
    crons: { type: "string", default: "1000" },
    rounds: { type: "string", default: "5" },
    busy: { type: "boolean", default: false },
    load: { type: "string" },
  },
});
const MINUTE_MS = 60_000;
/** From a clock that was put forward to its next slot, in ms: time enough to fall asleep. */
const LEAD_MS = 150;
const quiet = { debug() {}, info() {}, warn: console.warn, error: console.error, child: () => quiet };

if (values.load !== undefined) await load(values.load);
else await measure();

async function measure(): Promise<void> {
  await using server = await startRedis();
  const child = values.busy ? fork(fileURLToPath(import.meta.url), ["--load", server.url]) : undefined;
  if (child !== undefined) await once(child, "message");
  const schedulers = Number(values.schedulers);
  const one = await lateness({ url: server.url, namespace: "one", crons: 1, slots: Number(values.slots), schedulers });
  console.log(`1 cron, ${schedulers} schedulers, ${values.slots} slots: ${told(one.late)}`);
  const crons = Number(values.crons);
  const many = await lateness({ url: server.url, namespace: "many", crons, slots: Number(values.rounds), schedulers });
  console.log(`${crons} crons due at once, ${schedulers} schedulers, ${values.rounds} slots each: ${told(many.late)}`);
  child?.kill();
}

interface Setting {
  readonly url: string;
  readonly namespace: string;
  readonly crons: number;
  readonly slots: number;
  readonly schedulers: number;
}

async function lateness({ url, namespace, crons, slots, schedulers }: Setting) {
  const late: number[] = [];
  let done = Promise.withResolvers<void>();
  processMiddleware().splice(0, 1, {
    name: "bench",
    notice(notice) {
      if (notice.kind !== "slot.fired") return;
      late.push(now() - notice.slot);
      if (late.length % crons === 0) done.resolve();
    },
  });
  // In the past, since Redis fires nothing before its time.
  let shiftMs = Math.ceil((slots + 60) / 60) * 3_600_000 + (Date.now() % MINUTE_MS);
  const now = () => Date.now() - shiftMs;
  const stopping = new AbortController();
  const all = await Promise.all(
    Array.from({ length: schedulers }, () => start({ url, namespace, crons, now, signal: stopping.signal })),
  );
  for (let slot = 0; slot < slots; slot += 1) {
    done = Promise.withResolvers();
    const left = MINUTE_MS - (now() % MINUTE_MS);
    shiftMs -= left - LEAD_MS;
    for (const { bell } of all) bell.ring();
    await done.promise;
  }
  stopping.abort();
  await Promise.all(all.map(({ stopped }) => stopped));
  return { late: late.sort((a, b) => a - b) };
}

async function start({
  url,
  namespace,
  crons,
  now,
  signal,
}: Omit<Setting, "slots" | "schedulers"> & { now: () => number; signal: AbortSignal }) {
  const broker = createBroker({ redis: url, namespace, logger: quiet });
  for (let index = 0; index < crons; index += 1) cron(broker, "* * * * *", { name: `cron_${index}`, async run() {} });
  const engine = engineOf(broker);
  const opened = await openScheduler(engine, undefined);
  const clock = { now, offsetMs: () => 0, learn() {} };
  const lanes = new Map(Array.from(opened.lanes, ([queue, lane]) => [queue, openLane({ ...lane, clock })]));
  const { deps, current } = assemble({ engine, opened: { ...opened, clock, lanes } });
  const loops = Promise.all([current.keep(signal), keepTime(deps, signal)]);
  while (!current.isKnown()) await new Promise((resolve) => setTimeout(resolve, 20));
  const stopped = loops.then(async () => {
    await opened[Symbol.asyncDispose]();
    await broker.close();
  });
  return { ...deps, stopped };
}

function told(late: readonly number[]): string {
  const at = (share: number) => late[Math.min(late.length - 1, Math.floor(late.length * share))];
  return `${late.length} fired, late by p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, at most ${late.at(-1)} ms`;
}

/** Keeps a worker and Redis busy until killed. */
async function load(url: string): Promise<void> {
  const broker = createBroker({ redis: url, namespace: "load", logger: quiet });
  const noop = broker.task({ name: "noop", run() {} });
  createWorker(broker, { concurrency: 100 }).run();
  for (let round = 0; ; round += 1) {
    await noop.kiqMany(Array.from({ length: 500 }, () => undefined));
    if (round === 5) process.send?.("busy");
  }
}
