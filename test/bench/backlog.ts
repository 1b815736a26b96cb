import { setTimeout as delay } from "node:timers/promises";
import { Redis } from "ioredis";
import type { Figures } from "./bench.ts";
import type { Client, Input } from "./contenders/contender.ts";
import { makePayloads, type PayloadKind } from "./payload.ts";
import { readCosts } from "./redis-costs.ts";

const AT_ONCE = 1_000;
const PAYLOADS = 64;

/** What a backlog consists of. */
export interface Backlog {
  readonly count: number;
  readonly payload: PayloadKind;
  /** Spread over so many queues. Default 1. */
  readonly queueCount?: number;
  /** Asked before each call. Default: none. */
  readonly delayMs?: () => number;
}

/** Dispatches a backlog in bulk, 1,000 at a time, four calls under way. */
export async function fill(
  client: Client,
  { count, payload, queueCount = 1, delayMs = () => 0 }: Backlog,
): Promise<void> {
  const inputs = makePayloads(payload, PAYLOADS);
  let sent = 0;
  let turn = 0;
  const one = async () => {
    while (sent < count) {
      const size = Math.min(AT_ONCE, count - sent);
      const from = sent;
      sent += size;
      const batch = Array.from({ length: size }, (_, at) => inputs[(from + at) % PAYLOADS] as Input);
      await client.sendMany(batch, { queue: turn++ % queueCount, delayMs: delayMs() });
    }
  };
  await Promise.all(Array.from({ length: 4 }, one));
}

/** How a backlog is worked. */
export interface Working {
  readonly url: string;
  readonly client: Client;
  /** Runs in all. */
  readonly count: number;
  /** Runs that are done before the clock starts: compilers, caches and connections are warm then. */
  readonly warmCount: number;
  readonly concurrency: number;
  /** How often a handler is started for each run. Default 1. */
  readonly attempts?: number;
  run(attempt: number, input: Input): Promise<void>;
}

/** Works a backlog, and tells the rate from the last warm run on until the last run was settled, and what that cost. */
export async function timeBacklog({ url, client, ...working }: Working): Promise<Figures> {
  const { count, warmCount, concurrency, attempts = 1, run } = working;
  const redis = new Redis(url, { protocol: 2 });
  let starts = 0;
  const all = Promise.withResolvers<void>();
  const begun = Promise.withResolvers<Awaited<ReturnType<typeof readingOf>>>();
  const handler = (input: Input, attempt: number) => {
    starts += 1;
    if (starts === warmCount * attempts) begun.resolve(readingOf(redis));
    if (starts === count * attempts) all.resolve();
    return run(attempt, input);
  };
  await using _worker = await client.work({ concurrency, run: handler });
  await all.promise;
  while ((await client.leftCount()) > 0) await delay(1);
  const end = performance.now();
  const [first, last] = [await begun.promise, await readingOf(redis)];
  redis.disconnect();
  const per = (micros: number) => micros / (count - warmCount);
  return {
    rate: ((count - warmCount) / (end - first.at)) * 1_000,
    node: per(last.nodeMicros - first.nodeMicros),
    redis: per(last.redis.processorMicros - first.redis.processorMicros),
    commands: per(last.redis.commandMicros - first.redis.commandMicros),
  };
}

async function readingOf(redis: Redis) {
  const at = performance.now();
  const { user, system } = process.cpuUsage();
  return { at, nodeMicros: user + system, redis: await readCosts(redis) };
}
