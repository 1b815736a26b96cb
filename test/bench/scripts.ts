// What the scripts cost Redis: microseconds per run from enqueue to settled by its own clock, which counts the time in which the
// machine does something else; its processor time in all, network included; and bytes per waiting run.
// `npx tsx test/bench/scripts.ts [RUNS]`, on a private Redis of its own.
import { Redis } from "ioredis";
import { startRedis } from "../../src/dev/start-redis.ts";
import { type EnqueueRecord, enqueue } from "../../streams/enqueue.ts";
import { createRunIds } from "../../streams/ids.ts";
import { ensureLane, type Lane, newIncarnation, openLane } from "../../streams/lane.ts";
import { beat } from "../../streams/leases.ts";
import { read } from "../../streams/read.ts";
import { type Settlement, settle } from "../../streams/settle.ts";

const runCount = Number(process.argv[2] ?? 20_000);
const consumer = newIncarnation();

await using server = await startRedis();
const redis = new Redis(server.url, { protocol: 2 });
try {
  for (const batch of [1, 10, 100]) await measure(batch);
} finally {
  redis.disconnect();
}

async function measure(batch: number): Promise<void> {
  const queue = `batch-${batch}`;
  const lane = openLane({ redis, namespace: "bench", queue, incarnation: newIncarnation() });
  await ensureLane(redis, "bench", queue);
  await beat(redis, lane.keys, { consumer, leaseMs: 600_000 });
  const count = Math.max(batch, runCount / (batch === 1 ? 4 : 1));
  await enqueueAll(lane, 1_000, batch); // warms up scripts, JIT and allocator
  await settleAll(lane, batch);

  const before = await usedMemory();
  await redis.config("RESETSTAT");
  const busyBefore = await processorMicros();
  await enqueueAll(lane, count, batch);
  const enqueueMicros = await micros();
  const bytes = (await usedMemory()) - before;
  await redis.config("RESETSTAT");
  await settleAll(lane, batch);
  const { scripts, reads } = await micros();
  const busy = (await processorMicros()) - busyBefore;
  const per = (total: number) => (total / count).toFixed(2).padStart(6);
  const total = enqueueMicros.scripts + scripts + reads;
  console.log(
    `batch ${String(batch).padStart(3)}: enqueue ${per(enqueueMicros.scripts)} + read ${per(reads)} + settle ${per(scripts)} = ${per(total)} µs per run; processor ${per(busy)} µs; ` +
      `${Math.round(bytes / count)} bytes per waiting run`,
  );
}

async function enqueueAll(lane: Lane, count: number, batch: number): Promise<void> {
  const runIds = createRunIds(lane.queue);
  const calls = Array.from({ length: Math.ceil(count / batch) }, () => () => {
    const now = Math.trunc(lane.clock.now());
    const records = Array.from({ length: batch }, () => record(runIds(now), now));
    return enqueue(lane, records);
  });
  await inFlight(calls);
}

function record(run: string, now: number): EnqueueRecord {
  const input = { userId: "abc123" };
  return {
    run,
    task: "send_welcome_email",
    meta: JSON.stringify({ enqueuedAt: now }),
    body: JSON.stringify(input),
    expires: 0,
    dueAt: 0,
    event: { type: "run.enqueued", run, task: "send_welcome_email", input },
  };
}

/** A worker of concurrency 100 that settles so many at a time: the start of each with the end of the one before. */
async function settleAll(lane: Lane, batch: number): Promise<void> {
  for (;;) {
    const held = await read(redis, lane.keys, { consumer, count: Math.max(batch, 10) });
    if (held.length === 0) return;
    const settlements = held.flatMap((delivery): Settlement[] => {
      const { run, task } = delivery.entry;
      const of = { run, task, attempt: 1, delivery: 1, worker: consumer };
      return [
        { kind: "started", delivery, events: [{ type: "run.started", ...of, waitedMs: 1 }] },
        { kind: "ended", delivery, events: [{ type: "run.succeeded", ...of, durationMs: 1 }] },
      ];
    });
    const calls = [];
    for (let from = 0; from < settlements.length; from += batch * 2) {
      const part = settlements.slice(from, from + batch * 2);
      calls.push(() => settle(lane, { consumer, settlements: part }));
    }
    await inFlight(calls);
  }
}

async function inFlight(calls: readonly (() => Promise<unknown>)[]): Promise<void> {
  let next = 0;
  const one = async () => {
    while (next < calls.length) await (calls[next++] as () => Promise<unknown>)();
  };
  await Promise.all(Array.from({ length: 8 }, one));
}

async function usedMemory(): Promise<number> {
  return Number(/^used_memory:(\d+)/m.exec(await redis.info("memory"))?.[1]);
}

async function processorMicros(): Promise<number> {
  const info = await redis.info("cpu");
  const of = (kind: string) => Number(new RegExp(`^used_cpu_${kind}_main_thread:([\\d.]+)`, "m").exec(info)?.[1] ?? 0);
  return (of("user") + of("sys")) * 1_000_000;
}

async function micros(): Promise<{ scripts: number; reads: number }> {
  const stats = await redis.info("commandstats");
  const of = (command: string) =>
    Number(new RegExp(`^cmdstat_${command}:calls=\\d+,usec=(\\d+)`, "m").exec(stats)?.[1] ?? 0);
  return { scripts: of("evalsha") + of("eval"), reads: of("xreadgroup") };
}
