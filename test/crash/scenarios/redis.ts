import { setTimeout as delay } from "node:timers/promises";
import type { LedgerEvent } from "../../../streams/events.ts";
import { readLedger } from "../oracle.ts";
import { type Scenario, type Stage, UNTOUCHED } from "../scenario.ts";

const CONCURRENCY = 20;

/** Redis is killed with -9 and comes back three seconds later, with its append-only file. */
export const redisKilled: Scenario = {
  name: "redis-kill",
  what: "Redis is killed with -9 under load and restarted from its append-only file three seconds later",
  sizes: { ladder: 5_000, small: 600 },
  allowedDuplicates: () => 2 * 2 * CONCURRENCY,
  redis: { durable: true, args: ["--appendfsync", "always"] }, // else Redis itself may lose what it has answered, when the disk is busy
  async play(stage) {
    await stage.workers(2, { concurrency: CONCURRENCY });
    const produced = stage.produce(stage.size, { ms: 20, inFlight: 50, pauseMs: 20 });
    await stage.begun();
    await delay(1_000);
    await stage.server.kill();
    await delay(3_000);
    await stage.server.restart();
    stage.healed();
    await produced;
    await stage.endings(stage.size);
  },
};

/** Scripts are forgotten every second. */
export const scriptsFlushed: Scenario = {
  name: "scripts-flushed",
  what: "SCRIPT FLUSH every 200 ms",
  sizes: { ladder: 5_000, small: 600 },
  lease: UNTOUCHED,
  allowedDuplicates: () => 0,
  async play(stage) {
    await stage.workers(2, { concurrency: CONCURRENCY });
    await whileRunning(stage, { ms: 20, inFlight: 50, pauseMs: 40 }, 200, () => stage.redis.script("FLUSH"));
  },
};

/** Redis answers nobody for longer than a lease, with all workers alive. */
export const redisStalled: Scenario = {
  name: "redis-stalled",
  what: "Redis answers nobody for two leases while all workers live: nothing changes hands",
  sizes: { ladder: 400, small: 120 },
  allowedDuplicates: () => 0,
  async play(stage) {
    await stage.workers(4, { concurrency: CONCURRENCY });
    const produced = stage.produce(stage.size, { ms: 1_000, inFlight: 40 });
    await stage.begun();
    await delay(500);
    await stage.redis.client("PAUSE", 4_000, "ALL");
    await delay(4_000);
    stage.healed();
    await produced;
    await stage.endings(stage.size);
  },
  check: nothingMoved,
};

/** Memory is full for several leases. */
export const memoryFull: Scenario = {
  name: "memory-full",
  what: "Redis' memory is full for four leases: what runs finishes, nothing changes hands, and all recovers",
  sizes: { ladder: 400, small: 120 },
  allowedDuplicates: () => 0,
  async play(stage) {
    await stage.workers(4, { concurrency: CONCURRENCY });
    await stage.produce(stage.size, { ms: 1_000, inFlight: 40 });
    const { redis } = stage;
    await redis.config("SET", "maxmemory-policy", "noeviction");
    await redis.config("SET", "maxmemory", "1mb");
    await stage.endings(Math.floor(stage.size / 2));
    const { refused } = await stage.produce(10, { tries: 1 });
    if (refused.length !== 10 || refused.some(({ code, isAmbiguous }) => code !== "enqueue_failed" || isAmbiguous))
      stage.note(`of 10 dispatches into a full memory, there failed as they should: ${JSON.stringify(refused)}`);
    await delay(8_000);
    await stage.endings(stage.size, 30_000); // while memory is still full
    await redis.config("SET", "maxmemory", "0");
    stage.healed();
    await stage.produce(20);
    await stage.endings(stage.size + 20);
  },
  check: nothingMoved,
};

/** A worker is told to stop while its blocking read is outstanding, and work comes in at that very moment. */
export const sigtermWhileReading: Scenario = {
  name: "sigterm-while-reading",
  what: "idle workers get SIGTERM just as work comes in: what was delivered with the consumer's end is not lost",
  sizes: { ladder: 400, small: 60 },
  lease: UNTOUCHED,
  allowedDuplicates: () => 0,
  async play(stage) {
    const rounds = 6;
    for (let round = 0; round < rounds; round += 1) {
      await stage.workers(2, { concurrency: CONCURRENCY });
      const idle = stage.cast.all.filter((actor) => actor.program === "worker" && actor.isAlive());
      const produced = stage.produce(Math.floor(stage.size / rounds));
      await delay(stage.random.between(200, 600));
      for (const actor of idle) actor.signal("SIGTERM");
      await produced;
      await Promise.all(idle.map((actor) => actor.ended));
    }
    await stage.workers(1);
    await stage.endings(Math.floor(stage.size / rounds) * rounds);
  },
};

async function whileRunning(
  stage: Stage,
  order: object,
  everyMs: number,
  harm: () => unknown,
  env: Readonly<Record<string, string>> = {},
): Promise<void> {
  const timer = setInterval(harm, everyMs);
  try {
    await stage.produce(stage.size, order, env);
    await stage.endings(stage.size);
  } finally {
    clearInterval(timer);
  }
}

async function nothingMoved({ redis, namespace, queue }: Stage): Promise<string[]> {
  const moves = (await Array.fromAsync(readLedger(redis, namespace, queue))).filter(
    (event) => (event as LedgerEvent).type === "run.redelivered",
  );
  return moves.length === 0 ? [] : [`${moves.length} entries changed hands, not 0`];
}
