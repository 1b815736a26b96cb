import { setTimeout as delay } from "node:timers/promises";
import type { Redis } from "ioredis";
import { laneKeys } from "../../../streams/keys.ts";
import { type Scenario, UNTOUCHED } from "../scenario.ts";

/** More bytes than the ledger of a million runs: the oracle reads all of it. */
const WHOLE_LEDGER = 8_000_000_000;

/** A backlog: what a worker costs must not depend on how much waits. */
export const manyWaiting: Scenario = {
  name: "many-waiting",
  what: "as many runs as this wait before the first worker comes: its memory stays flat, and a read takes as long as of a short queue",
  sizes: { ladder: 1_000_000, small: 20_000 },
  lease: UNTOUCHED,
  isAlone: true,
  mostGrowthMb: 24,
  allowedDuplicates: () => 0,
  async play(stage) {
    const { redis, size, namespace, queue } = stage;
    await stage.produce(size, { inFlight: 5_000, inBulk: true, tries: 1 });
    await stage.workers(1, { concurrency: 100, keepLedgerBytes: WHOLE_LEDGER });
    const { tasks } = laneKeys(namespace, queue);
    const early = await readCost(redis, async () => (await redis.xlen(tasks)) > size * 0.8);
    await readCost(redis, async () => (await redis.xlen(tasks)) > size * 0.2);
    const late = await readCost(redis, async () => (await redis.xlen(tasks)) > 0);
    await stage.endings(size, 300_000);
    stage.remark(`a read took ${early} while most waited, ${late} at the end`);
  },
};

/** What a read of the task stream costs Redis, on average, while something holds. */
async function readCost(redis: Redis, isSo: () => Promise<boolean>): Promise<string> {
  await redis.config("RESETSTAT");
  while (await isSo()) await delay(50);
  const info = await redis.info("commandstats");
  const perCall = /cmdstat_xreadgroup:.*?usec_per_call=([\d.]+)/.exec(info)?.[1] ?? "0";
  return `${Math.round(Number(perCall))} µs`;
}

/** Large inputs go out in bulk: the calls are cut so that Redis serves others in between. */
export const largeBatches: Scenario = {
  name: "large-batches",
  what: "inputs of 10 KB, then of 250 KB, go out as many at once as may be: calls are cut by bytes, so that nobody waits long for Redis",
  sizes: { ladder: 4_000, small: 400 },
  lease: UNTOUCHED,
  isAlone: true,
  allowedDuplicates: () => 0,
  async play(stage) {
    const { redis, size } = stage;
    await redis.config("SET", "latency-monitor-threshold", "1");
    await stage.workers(1, { concurrency: 50 });
    for (const { bytes, count } of [
      { bytes: 10_000, count: size },
      { bytes: 250_000, count: size / 20 },
    ]) {
      await redis.call("LATENCY", "RESET");
      await stage.produce(count, { bytes, inFlight: 1_000, inBulk: true });
      const dispatched = await longest(redis);
      await stage.endings(bytes === 10_000 ? size : size + size / 20);
      const all = await longest(redis);
      stage.remark(`${bytes / 1_000} KB: longest command ${dispatched} ms while dispatching, ${all} ms in all`);
    }
  },
};

/** The longest that one command kept Redis from others, in ms; 1: none took longer than that. */
async function longest(redis: Redis): Promise<number> {
  const rows = (await redis.call("LATENCY", "LATEST")) as [string, number, number, number][];
  return Math.max(1, ...rows.filter(([name]) => name === "command").map(([, , , most]) => most));
}
