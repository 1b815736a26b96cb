import { cpus, loadavg } from "node:os";
import { setTimeout as delay } from "node:timers/promises";
import { Redis } from "ioredis";

/** The machine, as far as it matters to a time that was taken on it. */
export interface Machine {
  readonly cores: number;
  readonly processor: string;
  readonly platform: string;
  readonly node: string;
  readonly redis: string;
}

/** Tells what a Redis runs on, and we. */
export async function describeMachine(redisUrl: string): Promise<Machine> {
  const redis = new Redis(redisUrl, { protocol: 2 });
  const info = await redis.info("server");
  redis.disconnect();
  return {
    cores: cpus().length,
    processor: cpus()[0]?.model.trim() || "unknown",
    platform: `${process.platform} ${process.arch}`,
    node: process.version,
    redis: /^redis_version:(\S+)/m.exec(info)?.[1] ?? "unknown",
  };
}

/** The load average of the last minute: how many processes wanted a core. A benchmark itself makes two or three. */
export function load(): number {
  return Math.round((loadavg()[0] ?? 0) * 100) / 100;
}

const PAUSE_MS = 150;

/**
 * How much of the machine others use, in percent: what its cores do while we do nothing for a moment. A figure above a few
 * percent says that a run was not alone.
 */
export async function othersBusy(): Promise<number> {
  const before = spent();
  await delay(PAUSE_MS);
  const after = spent();
  const all = after.all - before.all;
  return all === 0 ? 0 : Math.round((1 - (after.idle - before.idle) / all) * 100);
}

function spent(): { readonly idle: number; readonly all: number } {
  const times = cpus().map((core) => core.times);
  const idle = times.reduce((sum, time) => sum + time.idle, 0);
  return { idle, all: times.reduce((sum, time) => sum + time.idle + time.user + time.sys + time.nice + time.irq, 0) };
}
