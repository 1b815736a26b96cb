import type { Redis } from "ioredis";

/** What a Redis has spent, in microseconds, and what it holds, in bytes. */
export interface RedisCosts {
  /** Of its processor, network included. */
  readonly processorMicros: number;
  /** In commands and scripts, by its own clock (`INFO commandstats`), which also counts while the machine does something else. */
  readonly commandMicros: number;
  readonly usedBytes: number;
}

/** Asks a Redis what it has spent so far. */
export async function readCosts(redis: Redis): Promise<RedisCosts> {
  const [cpu, stats, memory] = await Promise.all([redis.info("cpu"), redis.info("commandstats"), redis.info("memory")]);
  const seconds = [...cpu.matchAll(/^used_cpu_(?:user|sys):([\d.]+)/gm)].map((match) => Number(match[1]));
  return {
    processorMicros: seconds.reduce((sum, one) => sum + one, 0) * 1e6,
    commandMicros: commandMicros(stats),
    usedBytes: Number(/^used_memory:(\d+)/m.exec(memory)?.[1]),
  };
}

/** What a script calls is counted twice: as itself, and within the script. Where there are scripts, they and the reads are all there is. */
function commandMicros(stats: string): number {
  const each = [...stats.matchAll(/^cmdstat_([^:]+):calls=\d+,usec=(\d+)/gm)];
  const isOuter = ([, command = ""]: RegExpExecArray) => /^(evalsha|eval|fcall|xreadgroup|bzpopmin)$/.test(command);
  const hasScripts = each.some(([, command]) => command === "evalsha");
  return each.filter((one) => !hasScripts || isOuter(one)).reduce((sum, [, , micros]) => sum + Number(micros), 0);
}
