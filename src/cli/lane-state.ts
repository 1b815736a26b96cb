import type { Redis } from "ioredis";
import { GROUP, type LaneKeys, laneKeys } from "../../streams/keys.ts";
import { splitId } from "../../streams/ledger.ts";

/** A worker of a lane, as Redis knows it. */
export interface WorkerState {
  readonly worker: string;
  /** Entries in its hands: running, or read ahead. */
  readonly holds: number;
  /** How long its lease still lasts, in ms; negative: lapsed. Undefined: it has none. */
  readonly leaseLeftMs: number | undefined;
}

/** How a queue's lane stands. Counts are of one moment, give or take a millisecond. */
export interface LaneState {
  readonly queue: string;
  readonly waiting: number;
  /** In the hands of workers, read-ahead included. */
  readonly running: number;
  readonly scheduled: number;
  /** When the next scheduled run is due, in ms. */
  readonly nextDueAt: number | undefined;
  readonly dead: number;
  readonly cancelRequests: number;
  readonly isPaused: boolean;
  /** True while no dispatch is taken: the ledger is larger than its projector allows. */
  readonly isFull: boolean;
  /** Since when the entry has waited that has waited longest, in ms. */
  readonly oldestWaitingAt: number | undefined;
  readonly workers: readonly WorkerState[];
  readonly ledger: {
    readonly entries: number;
    readonly bytes: number | undefined;
    readonly lastId: string | undefined;
  };
  /** Of all keys of the lane that grow; undefined when Redis does not tell. */
  readonly bytes: number | undefined;
  /** False when the lane's consumer groups are not there: nothing can be read from it. */
  readonly hasGroups: boolean;
  readonly format: number | undefined;
  readonly incarnation: string | undefined;
  /** Redis' clock, in ms. */
  readonly nowMs: number;
}

/** Reads how a lane stands. Changes nothing. */
export async function readLane(redis: Redis, namespace: string, queue: string): Promise<LaneState> {
  const keys = laneKeys(namespace, queue);
  const [tasks, again, rest] = await Promise.all([
    readStream(redis, keys.tasks),
    readStream(redis, keys.again),
    readRest(redis, keys),
  ]);
  const held = sumHeld([tasks.held, again.held]);
  const running = [...held.values()].reduce((sum, count) => sum + count, 0);
  const oldest = [tasks.oldestWaitingAt, again.oldestWaitingAt].filter((at) => at !== undefined);
  const { ledger, leases, ...told } = rest;
  return {
    queue,
    ...told,
    running,
    waiting: Math.max(0, tasks.length + again.length - running),
    oldestWaitingAt: oldest.length === 0 ? undefined : Math.min(...oldest),
    hasGroups: tasks.hasGroup && again.hasGroup,
    workers: workersOf(leases, held, rest.nowMs),
    ledger,
  };
}

interface StreamState {
  readonly length: number;
  readonly hasGroup: boolean;
  readonly held: ReadonlyMap<string, number>;
  readonly oldestWaitingAt: number | undefined;
}

async function readStream(redis: Redis, key: string): Promise<StreamState> {
  const [length, groups, pending] = await Promise.all([
    redis.xlen(key),
    redis.xinfo("GROUPS", key).catch(() => []) as Promise<unknown[][]>,
    redis.xpending(key, GROUP).catch(() => []) as Promise<unknown[]>,
  ]);
  const group = groups.map(pairs).find((one) => one.get("name") === GROUP);
  const waits = (await redis.xrange(key, `(${String(group?.get("last-delivered-id") ?? "0-0")}`, "+", "COUNT", 1))[0];
  return {
    length,
    hasGroup: group !== undefined,
    held: new Map(((pending[3] ?? []) as [string, string][]).map(([consumer, count]) => [consumer, Number(count)])),
    oldestWaitingAt: waits === undefined ? undefined : splitId(waits[0])[0],
  };
}

async function readRest(redis: Redis, keys: LaneKeys) {
  const [time, meta, scheduled, due, dead, cancelRequests, leases, ledgerLength, last] = await Promise.all([
    redis.time(),
    redis.hmget(keys.meta, "format", "incarnation", "paused", "full"),
    redis.zcard(keys.scheduled),
    redis.zrange(keys.scheduled, "0", "0", "WITHSCORES"),
    redis.xlen(keys.dead),
    redis.zcard(keys.cancelled),
    redis.zrange(keys.workers, "0", "-1", "WITHSCORES"),
    redis.xlen(keys.events),
    redis.xrevrange(keys.events, "+", "-", "COUNT", 1),
  ]);
  const [ledgerBytes, ...others] = await Promise.all(
    [keys.events, keys.tasks, keys.again, keys.scheduled, keys.scheduledEntries, keys.dead].map((key) =>
      bytesOf(redis, key),
    ),
  );
  return {
    nowMs: Number(time[0]) * 1_000 + Math.floor(Number(time[1]) / 1_000),
    format: meta[0] == null ? undefined : Number(meta[0]),
    incarnation: meta[1] ?? undefined,
    isPaused: meta[2] === "1",
    isFull: meta[3] != null,
    scheduled,
    nextDueAt: due[1] === undefined ? undefined : Number(due[1]),
    dead,
    cancelRequests,
    leases,
    ledger: { entries: ledgerLength, bytes: ledgerBytes, lastId: last[0]?.[0] },
    bytes: others.reduce(
      (sum, bytes) => (sum === undefined || bytes === undefined ? undefined : sum + bytes),
      ledgerBytes,
    ),
  };
}

/** MEMORY is a command that many hosted servers keep to themselves. */
async function bytesOf(redis: Redis, key: string): Promise<number | undefined> {
  try {
    return Number((await redis.memory("USAGE", key)) ?? 0);
  } catch {
    return undefined;
  }
}

function sumHeld(streams: readonly ReadonlyMap<string, number>[]): Map<string, number> {
  const sum = new Map<string, number>();
  for (const held of streams) for (const [worker, count] of held) sum.set(worker, (sum.get(worker) ?? 0) + count);
  return sum;
}

function workersOf(leases: readonly string[], held: ReadonlyMap<string, number>, nowMs: number): WorkerState[] {
  const until = new Map<string, number>();
  for (let i = 0; i + 1 < leases.length; i += 2) until.set(leases[i] as string, Number(leases[i + 1]));
  const names = new Set([...until.keys(), ...[...held].filter(([, count]) => count > 0).map(([worker]) => worker)]);
  return [...names].sort().map((worker) => {
    const expiresAt = until.get(worker);
    return {
      worker,
      holds: held.get(worker) ?? 0,
      leaseLeftMs: expiresAt === undefined ? undefined : expiresAt - nowMs,
    };
  });
}

function pairs(flat: unknown[]): Map<unknown, unknown> {
  const map = new Map();
  for (let i = 0; i + 1 < flat.length; i += 2) map.set(flat[i], flat[i + 1]);
  return map;
}
