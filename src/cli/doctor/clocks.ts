import type { Redis } from "ioredis";
import { type DatabasePool, sql } from "slonik";
import { lengthWords } from "../words.ts";
import { type Finding, findings } from "./finding.ts";

const { ok, warn, fail } = findings("clocks");

/** Further apart than this, times in logs and tables contradict each other. */
const NOTICEABLE_MS = 1_000;
/** Further apart than this, something is wrong with a clock. */
const BROKEN_MS = 60_000;

/** How far the clocks of the servers are from this machine's. */
export async function checkClocks(redis: Redis, pool: DatabasePool | undefined): Promise<Finding[]> {
  const redisClock = await offsetOf(async () => {
    const [seconds, micros] = await redis.time();
    return Number(seconds) * 1_000 + Number(micros) / 1_000;
  });
  const found = [verdict("Redis", redisClock)];
  if (pool === undefined) return found;
  const postgresClock = await offsetOf(async () =>
    Number(await pool.oneFirst(sql.unsafe`select date_part('epoch', clock_timestamp()) * 1000`)),
  );
  return [...found, verdict("Postgres", postgresClock)];
}

/** The quickest of three answers tells best: what is not known is how its time divides into there and back. */
async function offsetOf(ask: () => Promise<number>): Promise<number> {
  let best = { tookMs: Number.POSITIVE_INFINITY, offsetMs: 0 };
  for (let round = 0; round < 3; round += 1) {
    const startedAt = performance.now();
    const theirs = await ask();
    const tookMs = performance.now() - startedAt;
    if (tookMs < best.tookMs) best = { tookMs, offsetMs: theirs + tookMs / 2 - Date.now() };
  }
  return best.offsetMs;
}

/** What an offset of a server's clock means. */
export function verdict(server: string, offsetMs: number): Finding {
  const apart = Math.abs(offsetMs);
  if (apart < NOTICEABLE_MS) return ok(`${server} and this machine are ${lengthWords(apart)} apart`);
  const what = `the clock of ${server} is ${lengthWords(apart)} ${offsetMs > 0 ? "ahead of" : "behind"} this machine's`;
  const advice = "Leases and schedules go by Redis' clock, delays by this one. Let NTP set both.";
  return apart < BROKEN_MS ? warn(what, advice) : fail(what, advice);
}
