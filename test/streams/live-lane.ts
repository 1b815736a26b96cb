import assert from "node:assert/strict";
import { after } from "node:test";
import type { Redis } from "ioredis";
import { startRedis } from "../../src/dev/start-redis.ts";
import { openRedis, ready } from "../../streams/connect.ts";
import { type Enqueued, enqueue } from "../../streams/enqueue.ts";
import type { OwnRecord } from "../../streams/enqueue-record.ts";
import type { Delivery } from "../../streams/entry.ts";
import type { EventDraft, LedgerEvent, UnknownEvent } from "../../streams/events.ts";
import { createRunIds } from "../../streams/ids.ts";
import { type CallLimits, ensureLane, type Lane, newIncarnation, openLane } from "../../streams/lane.ts";
import { beat, heldBy } from "../../streams/leases.ts";
import { decodeEntry, readEntries } from "../../streams/ledger.ts";
import { read } from "../../streams/read.ts";
import { firstIllegal, hasEnded, stateAfter } from "../../streams/run.ts";
import { type Fired, type Firing, fire } from "../../streams/schedules.ts";
import type { Settlement } from "../../streams/settle.ts";
import { testNamespace, testRedis } from "../support/servers.ts";

/** A lease that no test outlives, unless it says so. */
export const LEASE_MS = 60_000;

/** A client of the shared Redis, or of the one given, ready to take commands. */
export async function connect(url?: string): Promise<Redis & AsyncDisposable> {
  const redis = await openRedis(url ?? (await testRedis()), "tool");
  assert.ok(await ready(redis, 5_000));
  return Object.assign(redis, { [Symbol.asyncDispose]: async () => redis.disconnect() });
}

/** The client of a test file, on the Redis that all of them share. */
export const redis = await connect();
after(() => redis.disconnect());

/** A fresh lane that is open for workers, on a namespace of its own. */
export async function freshLane(redis: Redis, queue = "default"): Promise<Lane> {
  const namespace = testNamespace();
  await ensureLane(redis, namespace, queue);
  return openLane({ redis, namespace, queue, incarnation: newIncarnation() });
}

/** The same lane, as another process writes to it. */
export function sameLane(lane: Lane, redis: Redis = lane.redis): Lane {
  return openLane({ redis, namespace: lane.namespace, queue: lane.queue, incarnation: newIncarnation() });
}

/** What a test wants to be different about a run. */
export type RunWish = Partial<Omit<OwnRecord, "event" | "key" | "meta">> & {
  readonly key?: string | undefined;
  readonly keyTtlMs?: number | undefined;
  readonly meta?: Readonly<Record<string, unknown>> | undefined;
};

/** A record as a dispatch makes it. */
export function aRun(lane: Lane, wish: RunWish = {}): OwnRecord {
  const { key, keyTtlMs = 3_600_000, meta = {}, ...rest } = wish;
  const run = wish.run ?? createRunIds(lane.queue)(Date.now());
  const task = wish.task ?? "send";
  const dueAt = wish.dueAt ?? 0;
  return {
    task,
    run,
    body: '{"a":1}',
    expires: 0,
    dueAt,
    ...rest,
    meta: JSON.stringify({ enqueuedAt: Date.now(), ...meta }),
    key: key === undefined ? undefined : { name: lane.keys.key(task, key), ttlMs: keyTtlMs },
    event: {
      type: "run.enqueued",
      run,
      task,
      ...(rest.body === undefined ? {} : { input: JSON.parse(rest.body) as unknown }),
      ...(dueAt === 0 ? {} : { dueAt }),
      ...(key === undefined ? {} : { key }),
      ...(meta.keyUntil === undefined ? {} : { keyUntil: Number(meta.keyUntil) }),
    },
  };
}

/** Enqueues one run; its id, and what came of the call. */
export async function enqueueOne(lane: Lane, wish: RunWish = {}): Promise<{ run: string; enqueued: Enqueued }> {
  const record = aRun(lane, wish);
  return { run: record.run, enqueued: await enqueue(lane, [record]) };
}

/** Enqueues so many runs in one call; their ids. */
export async function enqueueMany(lane: Lane, count: number, wish: () => RunWish = () => ({})): Promise<string[]> {
  const records = Array.from({ length: count }, () => aRun(lane, wish()));
  await enqueue(lane, records);
  return records.map(({ run }) => run);
}

/** A fresh lane with so many runs, all of which a consumer holds. That it is alive it has not said. */
export async function laneHeldBy(consumer: string, count: number): Promise<{ lane: Lane; held: Delivery[] }> {
  const lane = await freshLane(redis);
  await enqueueMany(lane, count);
  return { lane, held: await take(lane, consumer, Math.max(1, count)) };
}

/** A worker that is alive. */
export async function aWorker(lane: Lane, consumer: string, leaseMs = LEASE_MS): Promise<string> {
  await beat(lane.redis, lane.keys, { consumer, leaseMs });
  return consumer;
}

/** Reads what waits, as a consumer. */
export function take(lane: Lane, consumer: string, count = 100): Promise<Delivery[]> {
  return read(lane.redis, lane.keys, { consumer, count });
}

/** Reads one entry, which must be there. */
export async function takeOne(lane: Lane, consumer: string): Promise<Delivery> {
  const [delivery] = await take(lane, consumer, 1);
  assert.ok(delivery, "nothing waits");
  return delivery;
}

function ofAttempt({ entry, delivery }: Delivery, worker: string) {
  return { run: entry.run, task: entry.task, attempt: entry.attempt, delivery, worker };
}

/** The start of an attempt. */
export function started(delivery: Delivery, worker = "w", isStrike = false): Settlement {
  return {
    kind: "started",
    delivery,
    isStrike,
    events: [{ type: "run.started", ...ofAttempt(delivery, worker), waitedMs: 0 }],
  };
}

/** The end of a run that did its work. */
export function succeeded(
  delivery: Delivery,
  worker = "w",
  more: Partial<Extract<Settlement, { kind: "ended" }>> = {},
): Settlement {
  const events: EventDraft[] = [{ type: "run.succeeded", ...ofAttempt(delivery, worker), durationMs: 1 }];
  return { kind: "ended", delivery, events, ...more };
}

/** The end of a run whose cancel was asked for. */
export function cancelled(delivery: Delivery): Settlement {
  const { run, task } = delivery.entry;
  return { kind: "ended", delivery, events: [{ type: "run.cancelled", run, task }] };
}

/** A failed attempt, with another to come. */
export function failed(delivery: Delivery, dueAt: number, worker = "w"): Settlement {
  const { attempt, meta, expires } = delivery.entry;
  const error = { type: "Error", message: "no", fingerprint: "f" };
  return {
    kind: "moved",
    delivery,
    move: { dueAt, attempt: attempt + 1, meta, expires },
    events: [{ type: "run.failed", ...ofAttempt(delivery, worker), error, durationMs: 1, retryAt: dueAt }],
  };
}

/** The end of a run that is not tried again. */
export function died(delivery: Delivery, reason = "attempts"): Settlement {
  const { run, task } = delivery.entry;
  return { kind: "dead", delivery, reason, error: "{}", events: [{ type: "run.died", run, task, reason }] };
}

/** Everything that the lane's ledger holds, in order. */
export async function ledger(lane: Lane): Promise<(LedgerEvent | UnknownEvent)[]> {
  const entries = await readEntries(lane.redis, lane.keys, { from: "-", count: 100_000 });
  for (const entry of entries) {
    const count = JSON.parse(entry.events).length;
    assert.equal(entry.count, count, `a batch says ${entry.count} events and has ${count}`);
  }
  const tokens = entries.map(({ header }) => `${JSON.parse(header).p}/${JSON.parse(header).c}`);
  assert.equal(new Set(tokens).size, tokens.length, "two batches share a token");
  return entries.flatMap((entry) => decodeEntry(entry, { queue: lane.queue, incarnation: "i" }));
}

/** The types of a run's events, in order; of all events when no run is named. */
export async function types(lane: Lane, run?: string): Promise<string[]> {
  const events = await ledger(lane);
  return events.filter((event) => run === undefined || event["run" as never] === run).map(({ type }) => type);
}

/** Fails unless every run's history is legal. Gives the runs that have ended. */
export async function assertLegal(lane: Lane): Promise<Set<string>> {
  const histories = new Map<string, (LedgerEvent | UnknownEvent)[]>();
  for (const event of await ledger(lane)) {
    const run = event["run" as never] as string | undefined;
    if (run !== undefined) histories.set(run, [...(histories.get(run) ?? []), event]);
  }
  const ended = new Set<string>();
  for (const [run, history] of histories) {
    const illegal = firstIllegal(history as never);
    const told = history.map(({ type }) => type).join(" → ");
    assert.equal(illegal, undefined, `${run}: ${told}: ${illegal?.type} may not come when it is ${illegal?.state}`);
    if (hasEnded(stateAfter(history as never))) ended.add(run);
  }
  return ended;
}

/** Redis' clock, in ms. */
export async function redisNow(redis: Redis): Promise<number> {
  const [seconds, micros] = await redis.time();
  return Number(seconds) * 1_000 + Math.floor(Number(micros) / 1_000);
}

/** Makes a worker's lease lapse without waiting for it. */
export async function lapse(lane: Lane, consumer: string): Promise<void> {
  await lane.redis.zadd(lane.keys.workers, (await redisNow(lane.redis)) - 1, consumer);
}

/** What consumers hold in both streams, by name. */
export async function holdings(lane: Lane, ...consumers: string[]): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const consumer of consumers) counts[consumer] = (await heldBy(lane.redis, lane.keys, consumer)).length;
  return counts;
}

/** A private Redis, with a client whose memory can be made full. */
export async function privateRedis(): Promise<
  AsyncDisposable & { readonly url: string; readonly redis: Redis; fill(): Promise<void>; empty(): Promise<void> }
> {
  const server = await startRedis({ args: ["--enable-debug-command", "local"] });
  const redis = await connect(server.url);
  return {
    url: server.url,
    redis,
    async fill() {
      await redis.config("SET", "maxmemory", "1");
    },
    async empty() {
      await redis.config("SET", "maxmemory", "0");
    },
    async [Symbol.asyncDispose]() {
      redis.disconnect();
      await server[Symbol.asyncDispose]();
    },
  };
}

/** Fires one slot in a call of its own. */
export async function fireOne(lane: Lane, firing: Firing, limits?: CallLimits): Promise<Fired> {
  const [fired] = await fire(lane, [firing], limits);
  return fired as Fired;
}
