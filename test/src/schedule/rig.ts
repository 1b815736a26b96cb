import assert from "node:assert/strict";
import { after } from "node:test";
import { createBroker } from "../../../src/broker.ts";
import { type CronPolicies, cron } from "../../../src/define/cron.ts";
import { engineOf } from "../../../src/engine.ts";
import { assemble } from "../../../src/schedule/assemble.ts";
import { fireDue } from "../../../src/schedule/fire.ts";
import type { TimeDeps } from "../../../src/schedule/keep-time.ts";
import { type Opened, openScheduler } from "../../../src/schedule/open.ts";
import { refresh } from "../../../src/schedule/refresh.ts";
import type { Schedule } from "../../../src/schedule/schedule.ts";
import { ready } from "../../../streams/connect.ts";
import { type Entry, toEntry } from "../../../streams/entry.ts";
import type { LedgerEvent } from "../../../streams/events.ts";
import { type Lane, openLane, type RedisClock, registerQueue } from "../../../streams/lane.ts";
import { decodeEntry, readEntries } from "../../../streams/ledger.ts";
import { testRedis } from "../../support/servers.ts";

/** A clock that stands where it is put. In the past: a slot that is yet to come is refused by Redis' own clock. */
export interface HandClock extends RedisClock {
  set(ms: number): void;
}

export function handClock(startMs: number): HandClock {
  let now = startMs;
  return {
    now: () => now,
    offsetMs: () => 0,
    learn() {},
    set: (ms) => {
      now = ms;
    },
  };
}

/** One cron as a version of an application declares it. */
export interface Declared extends CronPolicies {
  readonly name?: string;
  readonly expression: string;
  readonly queue?: string;
  readonly version?: number;
}

/** One scheduler of a namespace, whose time is driven by hand. */
export interface TestScheduler extends AsyncDisposable {
  readonly deps: TimeDeps;
  readonly opened: Opened;
  readonly clock: HandClock;
  schedule(name?: string): Schedule;
  /** Reads what Redis keeps, and declares. */
  refresh(): Promise<void>;
  /** Fires all that is due at an instant, until nothing is left. */
  fireAt(ms: number): Promise<void>;
}

/** What a test scheduler is made of. */
export interface TestSchedulerOptions {
  readonly namespace: string;
  readonly crons: readonly Declared[];
  readonly startMs: number;
  /** Default: Redlock on the same Redis. */
  readonly locks?: "none";
  readonly redisUrl?: string;
}

// A test that fails leaves its schedulers open, and their connections would keep the file from ending.
const open = new Set<() => Promise<void>>();
after(async () => {
  for (const close of open) await close();
});

export async function testScheduler({
  namespace,
  crons,
  startMs,
  locks,
  redisUrl,
}: TestSchedulerOptions): Promise<TestScheduler> {
  const broker = createBroker({ redis: redisUrl ?? (await testRedis()), namespace, logger: silent });
  for (const { expression, name = "sync", ...policies } of crons) {
    cron(broker, expression as string, { name, ...policies, async run() {} });
  }
  const engine = engineOf(broker);
  const clock = handClock(startMs);
  const real = await openScheduler(engine, undefined);
  const lanes = new Map(Array.from(real.lanes, ([queue, lane]) => [queue, openLane({ ...lane, clock })]));
  const opened: Opened = { ...real, clock, lanes, locks: locks === "none" ? undefined : real.locks };
  assert.ok(await ready(real.redis, 5_000));
  for (const queue of lanes.keys()) await registerQueue(real.redis, namespace, queue);
  const { deps } = assemble({ engine, opened });
  const close = async () => {
    open.delete(close);
    await real[Symbol.asyncDispose]();
    await broker.close();
  };
  open.add(close);
  return {
    deps,
    opened,
    clock,
    schedule: (name = "sync") => deps.schedules.find((one) => one.name === name) as Schedule,
    refresh: () => refresh(deps),
    async fireAt(ms) {
      clock.set(ms);
      for (const schedule of deps.schedules) {
        const due = { lane: schedule.lane, schedules: [schedule] };
        while (schedule.dueAt !== undefined && schedule.dueAt <= ms) {
          for (const { error } of await fireDue(deps, due)) throw error;
        }
      }
    },
    [Symbol.asyncDispose]: close,
  };
}

/** A logger that keeps quiet. */
export const silent = { debug() {}, info() {}, warn() {}, error() {}, child: () => silent };

/** What a lane has recorded, and what waits in it. */
export interface Outcome {
  readonly events: readonly LedgerEvent[];
  /** Of runs that are to run now, and after them of those that wait for their turn. */
  readonly entries: readonly Entry[];
  /** Slots that fired, in the order of their events. */
  readonly fired: readonly number[];
}

export async function outcomeOf(lane: Lane): Promise<Outcome> {
  const batches = await readEntries(lane.redis, lane.keys, { from: "-", count: 100_000 });
  const events = batches.flatMap((batch) =>
    decodeEntry(batch, { queue: lane.queue, incarnation: "x" }),
  ) as LedgerEvent[];
  const tasks = await lane.redis.xrange(lane.keys.tasks, "-", "+");
  const again = await lane.redis.xrange(lane.keys.again, "-", "+");
  const waiting = await lane.redis.zrange(lane.keys.scheduled, "0", "-1");
  const packed = await Promise.all(waiting.map((run) => lane.redis.hget(lane.keys.scheduledEntries, run)));
  const later = packed.map((text) => ["e", text ?? ""]);
  const entries = [...tasks.map(([, fields]) => fields), ...again.map(([, fields]) => fields), ...later].map(toEntry);
  return { events, entries, fired: events.flatMap((one) => (one.type === "slot.fired" ? [one.slot] : [])) };
}
